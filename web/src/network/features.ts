/** What networks see of planes and of what is known, in bytes. */

import { type Bytes, ZERO_POINT, newBytes } from "./bytes.js";
import type { Planes } from "./pyramid.js";

const DIFFERENCES = 15; // of the smaller picture, in a position
const AROUND = 2; // numbers on each side, over which a mean is taken
const WINDOW = (2 * AROUND + 1) ** 2;

/** Logarithms of the differences of a smaller picture, (height, width, 15). cell: of the step. */
export function lowLogarithms(low: Planes, cell: number, table: Uint8Array): Bytes {
  const [height, width] = [low.height / 2, low.width / 2];
  const result = newBytes(height, width, DIFFERENCES);
  const sums = new Float64Array(height * width);
  const logarithm = (difference: number) => table[Math.min(Math.floor((Math.abs(difference) * 8) / cell), 1023)];
  for (let plane = 0; plane < 3; plane++) {
    const pixels = low.data.subarray(plane * low.height * low.width, (plane + 1) * low.height * low.width);
    for (let y = 0, position = 0; y < height; y++) {
      for (let x = 0; x < width; x++, position++) {
        const from = 2 * y * low.width + 2 * x;
        const [a, b] = [pixels[from], pixels[from + 1]];
        const [c, d] = [pixels[from + low.width], pixels[from + low.width + 1]];
        const to = position * DIFFERENCES + plane;
        result.data[to] = logarithm(a + c - b - d);
        result.data[to + 3] = logarithm(a + b - c - d);
        result.data[to + 6] = logarithm(a - b - c + d);
        sums[position] = a + b + c + d;
      }
    }
    for (let y = 0, position = 0; y < height; y++) {
      for (let x = 0; x < width; x++, position++) {
        const to = position * DIFFERENCES + plane;
        result.data[to + 9] = logarithm(x + 1 < width ? sums[position + 1] - sums[position] : 0);
        result.data[to + 12] = logarithm(y + 1 < height ? sums[position + width] - sums[position] : 0);
      }
    }
  }
  return result;
}

/** Means of 5x5 numbers about each one of a plane, rounded, halves up; at the edge, those there are repeated. */
export function meansAround(numbers: Float64Array, height: number, width: number, each: number): Float64Array {
  const rows = new Float64Array(numbers.length);
  const result = new Float64Array(numbers.length);
  const columns = [-2, -1, 0, 1, 2];
  for (let y = 0; y < height; y++) {
    const from = columns.map((d) => Math.min(Math.max(y + d, 0), height - 1) * width);
    for (let x = 0; x < width; x++) {
      rows[y * width + x] =
        numbers[from[0] + x] + numbers[from[1] + x] + numbers[from[2] + x] + numbers[from[3] + x] + numbers[from[4] + x];
    }
  }
  const count = WINDOW * each;
  const half = Math.floor(count / 2);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = half;
      for (let d = -AROUND; d <= AROUND; d++) sum += rows[y * width + Math.min(Math.max(x + d, 0), width - 1)];
      result[y * width + x] = Math.floor(sum / count);
    }
  }
  return result;
}

/** Pixels of a smaller picture less the mean of those around, in 1/16 of `unit`, about 128: (height, width, 3). */
export function lowInCells(low: Planes, limit: number, unit: number): Bytes {
  const { height, width } = low;
  const result = newBytes(height, width, 3);
  for (let plane = 0; plane < 3; plane++) {
    const pixels = low.data.slice(plane * height * width, (plane + 1) * height * width);
    for (let i = 0; i < pixels.length; i++) pixels[i] = Math.min(Math.max(pixels[i], -limit), limit);
    const means = meansAround(pixels, height, width, 1);
    for (let i = 0; i < pixels.length; i++) {
      const found = Math.floor(((pixels[i] - means[i]) * 16 + (unit >> 1)) / unit);
      result.data[3 * i + plane] = ZERO_POINT + Math.min(Math.max(found, -127), 127);
    }
  }
  return result;
}
