/** Rows of a convolution by simd.wat: what a thread does. */

const OUTPUTS = 8; // that are computed together, ...
export const POSITIONS = 4; // ... at so many positions

/** What simd.wat exports. */
export interface Code {
  widen(from: number, to: number, count: number): void;
  tile(
    x: number,
    across: number,
    down: number,
    rows: number,
    pairs: number,
    weights: number,
    bias: number,
    factor: number,
    y: number,
    wide: number,
  ): void;
}

/**
 * A convolution in memory: height, width; x, and bytes from one of its positions to the next one and from one of its rows
 * to the next one; the kernel's rows, and pairs in one of them; weights, bias, factor; y, and bytes of one of its
 * positions.
 */
export type Job = Int32Array;
export const JOB_SIZE = 12;

/** Compute the rows first..last-1. */
export function computeRows({ tile }: Code, job: Job, first: number, last: number): void {
  const [, width, x, across, down, rows, pairs, weights, bias, factor, y, all] = job;
  for (let row = first; row < last; row++) {
    for (let o = 0; o < all; o += OUTPUTS) {
      const own = weights + o * rows * pairs * 4;
      for (let column = 0; column < width; column += POSITIONS) {
        const start = Math.max(0, Math.min(column, width - POSITIONS)); // the last ones come twice
        const from = x + row * down + start * across;
        tile(from, across, down, rows, pairs, own, bias + 4 * o, factor + 4 * o, y + (row * width + start) * all + o, all);
      }
    }
  }
}
