/** RFC 9649, section 3.5: the transforms of a VP8L stream, undone. Pixels are ARGB numbers of 32 bits. */

export interface Transform {
  /** 0: predictor, 1: cross-colour, 2: subtracted green, 3: colour indexing. */
  readonly kind: number;
  /** Columns of the picture, and those that are stored. */
  readonly width: number;
  readonly columns: number;
  /** The side of a square, or pixels in a stored one, as a power of two. */
  readonly bits: number;
  /** Modes, multipliers or colours. */
  readonly data: Uint32Array;
}

const BLACK = 0xff000000;

/** The pixels before a transform. */
export function undo(transform: Transform, argb: Uint32Array, height: number): Uint32Array {
  if (transform.kind === 0) return predicted(transform, argb, height);
  if (transform.kind === 1) return uncrossed(transform, argb);
  if (transform.kind === 2) return argb.map((pixel) => sum(pixel, green(pixel) * 0x10001));
  return indexed(transform, argb, height);
}

/** Two pixels added, each channel modulo 256. */
export function sum(a: number, b: number): number {
  const even = ((a & 0x00ff00ff) + (b & 0x00ff00ff)) & 0x00ff00ff;
  const odd = (((a >>> 8) & 0x00ff00ff) + ((b >>> 8) & 0x00ff00ff)) & 0x00ff00ff;
  return (even | (odd << 8)) >>> 0;
}

function green(pixel: number): number {
  return (pixel >>> 8) & 255;
}

/** Of the square in which a pixel lies. */
function ofSquare({ data, bits, width }: Transform, x: number, y: number): number {
  return data[(y >> bits) * Math.ceil(width / 2 ** bits) + (x >> bits)];
}

function indexed({ data, bits, width, columns }: Transform, argb: Uint32Array, height: number): Uint32Array {
  const result = new Uint32Array(width * height);
  const depth = 8 >> bits; // bits of an index
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const packed = green(argb[y * columns + (x >> bits)]);
      const index = (packed >> ((x & ((1 << bits) - 1)) * depth)) & ((1 << depth) - 1);
      result[y * width + x] = data[index] ?? 0; // beyond the table it is transparent black
    }
  }
  return result;
}

function uncrossed(transform: Transform, argb: Uint32Array): Uint32Array {
  const { width } = transform;
  const signed = (byte: number) => (byte << 24) >> 24;
  const part = (factor: number, colour: number) => (signed(factor & 255) * signed(colour)) >> 5;
  return argb.map((pixel, i) => {
    const factors = ofSquare(transform, i % width, Math.floor(i / width));
    const red = ((pixel >>> 16) + part(factors, green(pixel))) & 255;
    const blue = (pixel + part(factors >>> 8, green(pixel)) + part(factors >>> 16, red)) & 255;
    return (pixel & 0xff00ff00) | (red << 16) | blue;
  });
}

function predicted(transform: Transform, argb: Uint32Array, height: number): Uint32Array {
  const { width } = transform;
  const result = new Uint32Array(argb.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      let guess = BLACK;
      if (x && y) {
        const mode = green(ofSquare(transform, x, y)) & 15;
        guess = predict(mode, result[i - 1], result[i - width], result[i - width - 1], result[i - width + 1]);
      } else if (x || y) {
        guess = x ? result[i - 1] : result[i - width];
      }
      result[i] = sum(argb[i], guess);
    }
  }
  return result;
}

/** From the pixels to the left, above, and above to the left and right. */
function predict(mode: number, left: number, top: number, topLeft: number, topRight: number): number {
  switch (mode) {
    case 1:
      return left;
    case 2:
      return top;
    case 3:
      return topRight;
    case 4:
      return topLeft;
    case 5:
      return mean(mean(left, topRight), top);
    case 6:
      return mean(left, topLeft);
    case 7:
      return mean(left, top);
    case 8:
      return mean(topLeft, top);
    case 9:
      return mean(top, topRight);
    case 10:
      return mean(mean(left, topLeft), mean(top, topRight));
    case 11:
      return nearer(left, top, topLeft);
    case 12:
      return channels((shift) => byte(left, shift) + byte(top, shift) - byte(topLeft, shift));
    case 13: {
      const middle = mean(left, top);
      return channels((shift) => {
        const there = byte(middle, shift);
        return there + Math.trunc((there - byte(topLeft, shift)) / 2);
      });
    }
    default:
      return BLACK;
  }
}

function byte(pixel: number, shift: number): number {
  return (pixel >>> shift) & 255;
}

/** A pixel of four numbers, each limited to 0..255. */
function channels(value: (shift: number) => number): number {
  let result = 0;
  for (let shift = 0; shift < 32; shift += 8) result |= Math.min(Math.max(value(shift), 0), 255) << shift;
  return result >>> 0;
}

function mean(a: number, b: number): number {
  return ((((a ^ b) & 0xfefefefe) >>> 1) + (a & b)) >>> 0;
}

/** Left or top, whichever is nearer to left + top - topLeft. */
function nearer(left: number, top: number, topLeft: number): number {
  let [toLeft, toTop] = [0, 0];
  for (let shift = 0; shift < 32; shift += 8) {
    toLeft += Math.abs(byte(top, shift) - byte(topLeft, shift));
    toTop += Math.abs(byte(left, shift) - byte(topLeft, shift));
  }
  return toLeft < toTop ? left : top;
}
