/**
 * Section 3 of docs/format.md, synthesis and analysis: the pyramid of lapped block transforms.
 *
 * Planes hold whole numbers as binary64, which holds every sum exactly.
 */

import type { Transform } from "../model/model.js";

/** Three planes of numbers, one after the other, row by row. */
export interface Planes {
  readonly height: number;
  readonly width: number;
  readonly data: Float64Array;
}

const ROUNDER = 1.5 * 2 ** 52; // x + ROUNDER - ROUNDER rounds x to a whole number, halves to even
const MATRIX_UNIT = 2 ** 13; // stored matrices count in 1/2^13

export function newPlanes(height: number, width: number): Planes {
  return { height, width, data: new Float64Array(3 * height * width) };
}

/** A number rounded to a whole one, halves to even; below 2^51 in magnitude. */
export function rounded(x: number): number {
  return x + ROUNDER - ROUNDER;
}

/** Sums of products with two matrices, in whole numbers. */
function divide(data: Float64Array): void {
  const unit = 1 / MATRIX_UNIT ** 2;
  for (let i = 0; i < data.length; i++) data[i] = data[i] * unit + ROUNDER - ROUNDER;
}

/** The transpose of a square matrix. */
function turned(matrix: Float64Array, n: number): Float64Array {
  return matrix.map((_, i) => matrix[(i % n) * n + Math.floor(i / n)]);
}

/** A matrix with its rows filled up to multiples of four with 0. */
function filledUp(matrix: Float64Array, n: number): { filled: Float64Array; stride: number } {
  const stride = Math.ceil(n / 4) * 4;
  const filled = new Float64Array(n * stride);
  for (let i = 0; i < n; i++) filled.set(matrix.subarray(i * n, (i + 1) * n), i * stride);
  return { filled, stride };
}

/** The matrix times each run of n numbers of every row, from `begin` on; the others are multiplied by 2^13. In place. */
function alongRows({ width, data }: Planes, matrix: Float64Array, n: number, begin: number): void {
  const { filled, stride } = filledUp(matrix, n);
  const row = new Float64Array(width + stride);
  for (let start = 0; start < data.length; start += width) {
    if (isZero(data, start, width)) continue; // as most are at low rates
    row.set(data.subarray(start, start + width));
    const [first, last] = [start + begin, start + width - begin];
    for (let i = 0; i < begin; i++) {
      data[start + i] *= MATRIX_UNIT;
      data[last + i] *= MATRIX_UNIT;
    }
    data.fill(0, first, last);
    for (let j = 0; j < n; j++) {
      for (let c = 0; c < n; c += 4) multiply(data, first + j, last, row, begin + c, n, filled.subarray(j * stride + c));
    }
  }
}

/** Add the products of four numbers of each run, from `from` on, with four factors. */
function multiply(
  to: Float64Array,
  at: number,
  end: number,
  row: Float64Array,
  from: number,
  n: number,
  factors: Float64Array,
): void {
  const [f, g, h, k] = factors;
  for (; at < end; at += n, from += n) {
    to[at] += f * row[from] + g * row[from + 1] + h * row[from + 2] + k * row[from + 3];
  }
}

/** The same along columns, n rows at a time. */
function alongColumns({ height, width, data }: Planes, matrix: Float64Array, n: number, begin: number): void {
  const band = new Float64Array(n * width);
  for (let plane = 0; plane < data.length; plane += height * width) {
    const end = plane + height * width;
    for (let i = plane; i < plane + begin * width; i++) data[i] *= MATRIX_UNIT;
    for (let i = end - begin * width; i < end; i++) data[i] *= MATRIX_UNIT;
    for (let y = begin; y < height - begin; y += n) {
      const at = plane + y * width;
      band.set(data.subarray(at, at + n * width));
      const there: number[] = []; // rows that are not 0
      for (let c = 0; c < n; c++) if (!isZero(band, c * width, width)) there.push(c);
      data.fill(0, at, at + n * width);
      for (let j = 0; j < n; j++) {
        for (let i = 0; i < there.length; i += 4) {
          addRows(data, at + j * width, band, width, there.slice(i, i + 4), matrix.subarray(j * n, (j + 1) * n));
        }
      }
    }
  }
}

/** Add up to four rows of a band, each times its factor, to a row. */
function addRows(
  to: Float64Array,
  at: number,
  band: Float64Array,
  width: number,
  rows: number[],
  factors: Float64Array,
): void {
  const [a, b = a, c = a, d = a] = rows;
  const f = factors[a];
  const [g, h, k] = [1, 2, 3].map((i) => (i < rows.length ? factors[rows[i]] : 0));
  const [p, q, r, s] = [a * width, b * width, c * width, d * width];
  for (let i = 0; i < width; i++) {
    to[at + i] += f * band[p + i] + g * band[q + i] + h * band[r + i] + k * band[s + i];
  }
}

/** Whether n numbers from `at` on are 0. */
function isZero(row: Float64Array, at: number, n: number): boolean {
  for (let i = at; i < at + n; i++) if (row[i] !== 0) return false;
  return true;
}

/** Block by block, along both axes. */
function along(planes: Planes, matrix: Float64Array, n: number): void {
  alongRows(planes, matrix, n, 0);
  alongColumns(planes, matrix, n, 0);
  divide(planes.data);
}

/** Across every border of blocks, along both axes. */
function across(planes: Planes, matrix: Float64Array, n: number): void {
  alongRows(planes, matrix, n, n / 2);
  alongColumns(planes, matrix, n, n / 2);
  divide(planes.data);
}

/**
 * Planes of `height` x `width` blocks from values of coefficients, (height, width, coefficients), and the smaller
 * picture, two pixels a block on a side, which the coarsest layer lacks.
 */
export function synthesis(
  { side, functions, filters, places }: Transform,
  values: Int32Array,
  height: number,
  width: number,
  low: Planes | undefined,
): Planes {
  const planes = newPlanes(height * side, width * side);
  const offsets = Int32Array.from(places, (place) => offsetOf(place, side, planes));
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const corner = y * side * planes.width + x * side;
      for (let i = 0; i < offsets.length; i++, from++) {
        if (values[from]) planes.data[corner + offsets[i]] = values[from];
      }
    }
  }
  if (low) takeLow(planes, low, side);
  along(planes, turned(functions, side), side);
  across(planes, turned(filters, side), side);
  return planes;
}

/** Where a coefficient of the first block lies in planes. */
function offsetOf(place: number, side: number, { height, width }: Planes): number {
  const [plane, inside] = [Math.floor(place / side ** 2), place % side ** 2];
  return (plane * height + Math.floor(inside / side)) * width + (inside % side);
}

/** Four pixels of the smaller picture become the four functions of lowest frequency. */
function takeLow({ height, width, data }: Planes, low: Planes, side: number): void {
  for (let plane = 0; plane < 3; plane++) {
    for (let y = 0; y < low.height; y += 2) {
      let from = (plane * low.height + y) * low.width;
      let to = (plane * height + (y / 2) * side) * width;
      for (let x = 0; x < low.width; x += 2, from += 2, to += side) {
        const a = low.data[from];
        const b = low.data[from + 1];
        const c = low.data[from + low.width];
        const d = low.data[from + low.width + 1];
        data[to] = (a + b + c + d) / 2;
        data[to + 1] = (a - b + c - d) / 2;
        data[to + width] = (a + b - c - d) / 2;
        data[to + width + 1] = (a - b - c + d) / 2;
      }
    }
  }
}

/** The inverse: coefficients, and the smaller picture, rounded. Overwrites the planes. */
export function analysis(transform: Transform, planes: Planes): { values: Int32Array; low: Planes } {
  const { side, functions, filters, places } = transform;
  across(planes, filters, side);
  along(planes, functions, side);
  const [height, width] = [planes.height / side, planes.width / side];
  const values = new Int32Array(height * width * places.length);
  const offsets = Int32Array.from(places, (place) => offsetOf(place, side, planes));
  const low = newPlanes(2 * height, 2 * width);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const corner = y * side * planes.width + x * side;
      for (let i = 0; i < offsets.length; i++) values[to++] = planes.data[corner + offsets[i]];
    }
  }
  for (let plane = 0; plane < 3; plane++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = (plane * planes.height + y * side) * planes.width + x * side;
        const [a, b] = [planes.data[from], planes.data[from + 1]];
        const [c, d] = [planes.data[from + planes.width], planes.data[from + planes.width + 1]];
        const to = (plane * low.height + 2 * y) * low.width + 2 * x;
        low.data[to] = rounded((a + b + c + d) / 2);
        low.data[to + 1] = rounded((a - b + c - d) / 2);
        low.data[to + low.width] = rounded((a + b - c - d) / 2);
        low.data[to + low.width + 1] = rounded((a - b - c + d) / 2);
      }
    }
  }
  return { values, low };
}
