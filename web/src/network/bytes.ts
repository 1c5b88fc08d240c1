/** Arrays of bytes that networks take and give: (row, column, channel). */

export const ZERO_POINT = 128; // the byte that stands for 0, where numbers have signs

export interface Bytes {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

export function newBytes(height: number, width: number, channels: number, value = 0): Bytes {
  const data = new Uint8Array(height * width * channels);
  return { height, width, channels, data: value ? data.fill(value) : data };
}

/** What lies beyond the picture in each of some channels that stand side by side. */
export interface Seen {
  readonly bytes: Bytes;
  readonly outside: number;
}

/**
 * Channels side by side, with a margin of `margin` positions, which is `outside` of each; in `room`, if that is large
 * enough, or else in new memory.
 */
export function together(parts: readonly Seen[], margin: number, room: Uint8Array): Bytes {
  const { height: rows, width: columns } = parts[0].bytes;
  const channels = parts.reduce((sum, { bytes }) => sum + bytes.channels, 0);
  const [height, width] = [rows + 2 * margin, columns + 2 * margin];
  const size = height * width * channels;
  const data = size <= room.length ? room.subarray(0, size) : new Uint8Array(size);
  const result = { height, width, channels, data };
  if (margin) fillMargin(result, parts, margin);
  let first = 0;
  for (const { bytes } of parts) {
    const words = [bytes.data.byteOffset, data.byteOffset, bytes.channels, first, channels].every((n) => n % 4 === 0);
    if (words) place(inWords(bytes.data), inWords(data), bytes, 4, channels / 4, first / 4, margin);
    else place(bytes.data, data, bytes, 1, channels, first, margin);
    first += bytes.channels;
  }
  return result;
}

/** The same bytes, four at a time, which are moved in a quarter of the time. */
function inWords(data: Uint8Array): Uint32Array {
  return new Uint32Array(data.buffer, data.byteOffset, data.length >> 2);
}

type Data = Uint8Array | Uint32Array;

/** Put channels behind others. unit: bytes of a number. channels: of the result, in numbers. */
function place(from: Data, to: Data, bytes: Bytes, unit: number, channels: number, first: number, margin: number): void {
  const { height, width } = bytes;
  const [own, row] = [bytes.channels / unit, (width + 2 * margin) * channels];
  let read = 0;
  for (let y = 0; y < height; y++) {
    let write = (y + margin) * row + margin * channels + first;
    if (own === channels) {
      to.set(from.subarray(read, read + width * own), write);
      read += width * own;
      continue;
    }
    for (let x = 0; x < width; x++, write += channels) {
      for (let i = 0; i < own; i++) to[write + i] = from[read++];
    }
  }
}

function fillMargin(result: Bytes, parts: readonly Seen[], margin: number): void {
  const position = new Uint8Array(result.channels);
  let first = 0;
  for (const { bytes, outside } of parts) {
    position.fill(outside, first, first + bytes.channels);
    first += bytes.channels;
  }
  const { height, width, channels, data } = result;
  for (let y = 0; y < height; y++) {
    const inside = y >= margin && y < height - margin;
    for (let x = 0; x < width; x++) {
      if (inside && x === margin) x = width - margin;
      data.set(position, (y * width + x) * channels);
    }
  }
}

/** (h, w, 4 channels) -> (2 h, 2 w, channels): upper left, upper right, lower left, lower right. */
export function split(x: Bytes): Bytes {
  const result = newBytes(2 * x.height, 2 * x.width, x.channels / 4);
  moveSquares(x, result, true);
  return result;
}

/** The inverse. */
export function join(x: Bytes): Bytes {
  const result = newBytes(x.height / 2, x.width / 2, 4 * x.channels);
  moveSquares(result, x, false);
  return result;
}

/** Between squares of four positions and positions of four times the channels. */
function moveSquares(squares: Bytes, single: Bytes, apart: boolean): void {
  const { height, width } = squares;
  const words = [squares.data.byteOffset, single.data.byteOffset, single.channels].every((n) => n % 4 === 0);
  const [one, other]: Data[] = [squares, single].map(({ data }) => (words ? inWords(data) : data));
  const channels = words ? single.channels / 4 : single.channels;
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let corner = 0; corner < 4; corner++) {
        let there = ((2 * y + (corner >> 1)) * 2 * width + 2 * x + (corner & 1)) * channels;
        if (apart) for (let i = 0; i < channels; i++) other[there++] = one[at++];
        else for (let i = 0; i < channels; i++) one[at++] = other[there++];
      }
    }
  }
}

const [SIGNS, REST, ONES] = [0x80808080 | 0, 0x7f7f7f7f, 0x01010101]; // of four bytes

/**
 * Add what a convolution answers about 128: x = clamp(x + change - 128, 0, 255), in place.
 *
 * Less 128, these are sums of signed bytes, which stop at the limits; four of them are added at a time.
 */
export function addTo(x: Bytes, change: Bytes): void {
  const [data, added] = [x.data, change.data];
  const four = data.byteOffset % 4 || added.byteOffset % 4 ? 0 : data.length >> 2;
  const [one, other] = four ? [inWords(data), inWords(added)] : [];
  for (let i = 0; i < four; i++) {
    const [a, b] = [one![i] ^ SIGNS, other![i] ^ SIGNS];
    const sum = ((a & REST) + (b & REST)) ^ ((a ^ b) & SIGNS);
    const over = ~(a ^ b) & (a ^ sum) & SIGNS;
    const mask = over | (over - (over >>> 7));
    one![i] = ((sum & ~mask) | ((REST + ((a >>> 7) & ONES)) & mask)) ^ SIGNS;
  }
  for (let i = 4 * four; i < data.length; i++) {
    data[i] = Math.min(Math.max(data[i] + added[i] - ZERO_POINT, 0), 255);
  }
}

/** A whole number about 128, as a byte. */
export function inByte(number: number): number {
  return ZERO_POINT + (number < -127 ? -127 : number > 127 ? 127 : number);
}
