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

/** Multiply n numbers of a row from `at` on, as a column, by a matrix; into `to`. */
function multiply(row: Float64Array, at: number, matrix: Float64Array, n: number, to: Float64Array): void {
  for (let j = 0; j < n; j++) {
    let sum = 0;
    for (let c = 0; c < n; c++) sum += matrix[j * n + c] * row[at + c];
    to[j] = sum;
  }
}

/** Whether n numbers from `at` on are 0, as most are at low rates. */
function isZero(row: Float64Array, at: number, n: number): boolean {
  for (let i = at; i < at + n; i++) if (row[i] !== 0) return false;
  return true;
}

/** The matrix times each run of n numbers of every row, from `begin` on; the others are multiplied by 2^13. In place. */
function alongRows({ width, data }: Planes, matrix: Float64Array, n: number, begin: number): void {
  const made = new Float64Array(n);
  for (let row = 0; row < data.length; row += width) {
    const [first, last] = [row + begin, row + width - begin];
    for (let i = row; i < first; i++) data[i] *= MATRIX_UNIT;
    for (let i = last; i < row + width; i++) data[i] *= MATRIX_UNIT;
    for (let at = first; at < last; at += n) {
      if (isZero(data, at, n)) continue;
      multiply(data, at, matrix, n, made);
      for (let i = 0; i < n; i++) data[at + i] = made[i];
    }
  }
}

/** The same along columns, n rows at a time. */
function alongColumns({ height, width, data }: Planes, matrix: Float64Array, n: number, begin: number): void {
  const band = new Float64Array(n * width);
  for (let plane = 0; plane < data.length; plane += height * width) {
    for (let i = 0; i < begin * width; i++) {
      data[plane + i] *= MATRIX_UNIT;
      data[plane + height * width - 1 - i] *= MATRIX_UNIT;
    }
    for (let y = begin; y < height - begin; y += n) {
      const at = plane + y * width;
      band.set(data.subarray(at, at + n * width));
      data.fill(0, at, at + n * width);
      for (let c = 0; c < n; c++) {
        if (isZero(band, c * width, width)) continue;
        for (let j = 0; j < n; j++) addRow(data, at + j * width, band, c * width, width, matrix[j * n + c]);
      }
    }
  }
}

function addRow(to: Float64Array, at: number, from: Float64Array, begin: number, count: number, factor: number): void {
  if (factor) for (let i = 0; i < count; i++) to[at + i] += factor * from[begin + i];
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
        const [a, b] = [low.data[from], low.data[from + 1]];
        const [c, d] = [low.data[from + low.width], low.data[from + low.width + 1]];
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
