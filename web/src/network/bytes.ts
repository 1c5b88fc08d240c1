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

/** Channels side by side, with a margin of `margin` positions, which is `outside` of each. */
export function together(parts: readonly Seen[], margin: number): Bytes {
  const { height, width } = parts[0].bytes;
  const channels = parts.reduce((sum, { bytes }) => sum + bytes.channels, 0);
  const result = newBytes(height + 2 * margin, width + 2 * margin, channels);
  if (margin) fillMargin(result, parts, margin);
  let first = 0;
  for (const { bytes } of parts) {
    if (parts.length === 1) {
      const [from, to] = [width * channels, (width + 2 * margin) * channels];
      for (let y = 0; y < height; y++) {
        result.data.set(bytes.data.subarray(y * from, (y + 1) * from), (y + margin) * to + margin * channels);
      }
    } else {
      place(bytes, result, first, margin);
    }
    first += bytes.channels;
  }
  return result;
}

function place(bytes: Bytes, result: Bytes, first: number, margin: number): void {
  const { height, width, channels, data } = bytes;
  const { data: target, channels: all } = result;
  let from = 0;
  for (let y = 0; y < height; y++) {
    let to = ((y + margin) * result.width + margin) * all + first;
    for (let x = 0; x < width; x++, to += all) {
      for (let i = 0; i < channels; i++) target[to + i] = data[from++];
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
  if (position.every((byte) => byte === 0)) return;
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
  const channels = x.channels / 4;
  const result = newBytes(2 * x.height, 2 * x.width, channels);
  moveSquares(x.data, result.data, x.height, x.width, channels, true);
  return result;
}

/** The inverse. */
export function join(x: Bytes): Bytes {
  const result = newBytes(x.height / 2, x.width / 2, 4 * x.channels);
  moveSquares(x.data, result.data, result.height, result.width, x.channels, false);
  return result;
}

function moveSquares(
  from: Uint8Array,
  to: Uint8Array,
  height: number,
  width: number,
  channels: number,
  apart: boolean,
): void {
  let one = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let corner = 0; corner < 4; corner++) {
        let other = ((2 * y + (corner >> 1)) * 2 * width + 2 * x + (corner & 1)) * channels;
        if (apart) for (let i = 0; i < channels; i++) to[other++] = from[one++];
        else for (let i = 0; i < channels; i++) to[one++] = from[other++];
      }
    }
  }
}

const SUMS = Uint8Array.from({ length: 511 }, (_, sum) => Math.min(Math.max(sum - ZERO_POINT, 0), 255));

/** Add what a convolution answers about 128: x = clamp(x + change - 128, 0, 255), in place. */
export function addTo(x: Bytes, change: Bytes): void {
  const [data, added] = [x.data, change.data];
  for (let i = 0; i < data.length; i++) data[i] = SUMS[data[i] + added[i]];
}

/** A whole number about 128, as a byte. */
export function inByte(number: number): number {
  return ZERO_POINT + (number < -127 ? -127 : number > 127 ? 127 : number);
}
