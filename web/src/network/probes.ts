/** Whether a machine's convolutions are exact: tried with numbers that go to their limits, and halves. */

import type { Convolution } from "../model/model.js";
import type { Bytes } from "./bytes.js";
import type { Kernel } from "./convolution.js";

/** Inputs, outputs, kernel and size of a convolution. */
type Shape = readonly [number, number, number, number];

/** For a library, which chooses its code by shape. */
export const MANY: readonly Shape[] = [
  [64, 48, 1, 12],
  [64, 24, 3, 6],
  [1, 32, 3, 16],
  [12, 32, 3, 8],
  [32, 2, 3, 16],
  [96, 180, 1, 1],
  [7, 3, 3, 3],
  [195, 72, 1, 5],
  [168, 128, 3, 3],
];
/** For code that is the same for every shape: odd and even numbers of pairs, outputs beside groups of 8, largest sums. */
export const FEW: readonly Shape[] = [
  [4, 16, 3, 5],
  [7, 3, 3, 3],
  [5, 9, 1, 2],
  [115, 8, 3, 3],
];
const LARGEST = 63;

/** Whether a kernel computes what `expected` says. */
export async function isExact(kernel: Kernel, probes: readonly Shape[]): Promise<boolean> {
  const random = numbers(1);
  try {
    for (const shape of probes) {
      const { convolution, x, bias } = probe(shape, random);
      const found = await kernel.rows(convolution, x, bias);
      const right = expected(convolution, x, bias);
      if (found.length !== right.length || right.some((byte, i) => byte !== found[i])) return false;
    }
    return true;
  } catch {
    return false; // whatever this runtime lacks
  }
}

/** Pseudo-random whole numbers below a limit (Park and Miller). */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => (state = (state * 48271) % 2147483647) % limit;
}

function probe([inputs, outputs, kernel, size]: Shape, random: (limit: number) => number) {
  const each = inputs * kernel * kernel;
  const last = (outputs - 1) * each;
  const weight = new Int8Array(outputs * each);
  for (let i = 0; i < last; i++) weight[i] = random(2 * LARGEST + 1) - LARGEST;
  weight.fill(LARGEST, 0, each);
  if (outputs > 2) weight.fill(-LARGEST, each, 2 * each);
  weight[last + random(each)] = 1;
  const width = size + 4;
  const data = new Uint8Array(size * width * inputs);
  for (let i = 0; i < data.length; i++) data[i] = random(256);
  for (let y = 0; y < size; y++) data.fill(255, (y * width + 3) * inputs, (y * width + width) * inputs);
  const factor = Float32Array.from({ length: outputs }, (_, o) =>
    o < outputs / 2 ? (1 + random(200)) / (LARGEST * each) : 2 ** -14,
  );
  const bias = Int32Array.from({ length: outputs }, () => random(2 ** 21) - 2 ** 20);
  factor[outputs - 1] = 0.5; // halves occur
  bias[outputs - 1] = random(256);
  const convolution: Convolution = { outputs, inputs, kernel, weight, factor, reach: new Float64Array(outputs) };
  return { convolution, x: { height: size, width, channels: inputs, data }, bias };
}

/** What a convolution is, from its definition. */
export function expected({ outputs, inputs, kernel, weight, factor }: Convolution, x: Bytes, bias: Int32Array) {
  const [height, width] = [x.height - kernel + 1, x.width - kernel + 1];
  const result = new Uint8Array(height * width * outputs);
  for (let y = 0, at = 0; y < height; y++) {
    for (let column = 0; column < width; column++) {
      for (let o = 0; o < outputs; o++) {
        let sum = bias[o];
        for (let place = 0; place < kernel * kernel; place++) {
          const dy = Math.floor(place / kernel);
          const from = ((y + dy) * x.width + column + (place % kernel)) * inputs;
          const weights = o * inputs * kernel * kernel + place;
          for (let i = 0; i < inputs; i++) sum += weight[weights + i * kernel * kernel] * x.data[from + i];
        }
        const product = Math.fround(Math.fround(sum) * factor[o]);
        result[at++] = halfToEven(Math.min(Math.max(product, 0), 255));
      }
    }
  }
  return result;
}

function halfToEven(x: number): number {
  return x + 2 ** 52 - 2 ** 52;
}
