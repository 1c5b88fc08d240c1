/** Section 5 of docs/format.md: from planes in the axes of the model to levels of red, green and blue. */

import type { Header } from "../format/header.js";
import type { Planes } from "../network/pyramid.js";

const W = 127; // of the rotation, a quaternion
const UNIT = 2 ** 30; // sums count in 1/2^30 of a level

/** Levels, 0 to 255: three planes, one after the other. */
export interface Levels {
  readonly height: number;
  readonly width: number;
  readonly data: Uint8Array;
}

/** axes: (3, 3) in 1/2^13. gain: of the planes, more than 1 for those of a smaller picture. */
export function levelsOf({ height, width, data }: Planes, header: Header, axes: Int16Array, gain = 1): Levels {
  const matrix = colourMatrix(header.rotation, axes);
  const size = height * width;
  const unit = UNIT * gain;
  const result = new Uint8Array(3 * size);
  for (let colour = 0; colour < 3; colour++) {
    const [a, b, c] = matrix.subarray(3 * colour, 3 * colour + 3);
    const offset = unit * header.mean[colour] + unit / 2;
    for (let i = 0, to = colour * size; i < size; i++, to++) {
      const level = Math.floor((a * data[i] + b * data[i + size] + c * data[i + 2 * size] + offset) / unit);
      result[to] = level < 0 ? 0 : level > 255 ? 255 : level;
    }
  }
  return { height, width, data: result };
}

/** The mean of the three colours of every pixel, in all three planes. */
export function greyed({ height, width, data }: Levels): Levels {
  const size = height * width;
  const result = new Uint8Array(3 * size);
  for (let i = 0; i < size; i++) {
    const level = Math.floor((data[i] + data[i + size] + data[i + 2 * size] + 1) / 3);
    result[i] = result[i + size] = result[i + 2 * size] = level;
  }
  return { height, width, data: result };
}

/** From planes to colours, (3, 3) whole numbers in 1/2^30 of a level for 1/8 of a level. */
function colourMatrix([x, y, z]: readonly number[], axes: Int16Array): Float64Array {
  const n = W * W + x * x + y * y + z * z;
  const products = [
    W * W + x * x - y * y - z * z,
    2 * (x * y - W * z),
    2 * (x * z + W * y),
    2 * (x * y + W * z),
    W * W - x * x + y * y - z * z,
    2 * (y * z - W * x),
    2 * (x * z - W * y),
    2 * (y * z + W * x),
    W * W - x * x - y * y + z * z,
  ];
  const turn = products.map((entry) => Math.floor((2 ** 15 * entry + n) / (2 * n)));
  const result = new Float64Array(9);
  for (let j = 0; j < 3; j++) {
    for (let p = 0; p < 3; p++) {
      for (let i = 0; i < 3; i++) result[3 * j + p] += turn[3 * j + i] * axes[3 * p + i];
    }
  }
  return result;
}
