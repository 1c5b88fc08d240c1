/** PNG files of 8-bit grey, which hold alpha channels. */

import { CdrError } from "../format/errors.js";

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
// Adam7: first column and row, and steps, of each pass
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/** The levels of a file, row by row; it must have that size. Throws CdrError. */
export async function decodeGreyPng(file: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 33 || SIGNATURE.some((byte, i) => file[i] !== byte)) throw damaged();
  const [depth, colour, , , interlaced] = file.subarray(24, 29);
  if (view.getUint32(16) !== width || view.getUint32(20) !== height || depth !== 8 || colour || interlaced > 1) {
    throw new CdrError("its alpha channel does not fit its header");
  }
  const parts: Uint8Array[] = [];
  for (let at = 8; at + 12 <= file.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > file.length) throw damaged();
    if (view.getUint32(at + 4) === 0x49444154) parts.push(file.subarray(at + 8, at + 8 + length)); // IDAT
    at += 12 + length;
  }
  const passes = interlaced ? PASSES : [[0, 0, 1, 1]];
  const sizes = passes.map(([x, y, dx, dy]) => {
    const [columns, rows] = [Math.max(0, Math.ceil((width - x) / dx)), Math.max(0, Math.ceil((height - y) / dy))];
    return { columns, rows: columns ? rows : 0 };
  });
  const expected = sizes.reduce((sum, { columns, rows }) => sum + rows * (columns + 1), 0);
  const data = await inflate(parts, expected);
  const result = new Uint8Array(width * height);
  let at = 0;
  passes.forEach(([x, y, dx, dy], i) => {
    const { columns, rows } = sizes[i];
    const levels = unfiltered(data.subarray(at, at + rows * (columns + 1)), columns, rows);
    at += rows * (columns + 1);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) result[(y + r * dy) * width + x + c * dx] = levels[r * columns + c];
    }
  });
  return result;
}

function damaged(): CdrError {
  return new CdrError("its alpha channel is damaged");
}

/** What a zlib stream holds, which must be so many bytes; no room is taken for more. */
async function inflate(parts: Uint8Array[], expected: number): Promise<Uint8Array> {
  const source = new Blob(parts as BlobPart[]).stream();
  const reader = source.pipeThrough(new DecompressionStream("deflate")).getReader();
  const result = new Uint8Array(expected);
  let at = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > expected) throw damaged();
      result.set(value, at);
      at += value.length;
    }
  } catch {
    await reader.cancel().catch(() => undefined);
    throw damaged();
  }
  if (at !== expected) throw damaged();
  return result;
}

/** Rows that each begin with the number of their filter. */
function unfiltered(data: Uint8Array, width: number, height: number): Uint8Array {
  const result = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (width + 1)];
    if (filter > 4) throw damaged();
    for (let x = 0; x < width; x++) {
      const to = y * width + x;
      const left = x ? result[to - 1] : 0;
      const above = y ? result[to - width] : 0;
      const corner = x && y ? result[to - width - 1] : 0;
      const guesses = [0, left, above, (left + above) >> 1, 0];
      if (filter === 4) guesses[4] = nearest(left, above, corner);
      result[to] = data[y * (width + 1) + 1 + x] + guesses[filter];
    }
  }
  return result;
}

/** Paeth's predictor. */
function nearest(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}
