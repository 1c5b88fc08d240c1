/** Convolutions by this package's own WebAssembly, simd.wat. */

import type { Convolution } from "../model/model.js";
import type { Bytes } from "./bytes.js";
import { shared, single } from "./simd.wat";
import { type Code, type Job, POSITIONS, computeRows } from "./simd_rows.js";

const OUTPUTS = 8; // that are computed together
const PAGE = 2 ** 16; // bytes of WebAssembly memory
const MOST_PAGES = 2 ** 14;
const START = 64; // of what is laid out; every part begins at a multiple of 64

/** What computes the rows of a convolution in a memory. */
export interface Rows {
  run(job: Job): void;
}

/** Threads that share a memory and its code. */
export type StartThreads = (module: WebAssembly.Module, memory: WebAssembly.Memory, code: Code) => Rows;

/** Weights in the order of the code: (outputs / 8, rows of the kernel, pairs, 8 outputs, 2). */
interface Packed {
  readonly weights: Int16Array;
  readonly factors: Float32Array;
  /** Pairs of numbers in a row of the kernel. */
  readonly pairs: number;
  /** Outputs, filled up to a multiple of 8. */
  readonly outputs: number;
}

function pack({ weight, factor, inputs, outputs, kernel }: Convolution): Packed {
  const pairs = Math.ceil((kernel * inputs) / 2);
  const all = Math.ceil(outputs / OUTPUTS) * OUTPUTS;
  const weights = new Int16Array(all * kernel * pairs * 2);
  for (let o = 0, from = 0; o < outputs; o++) {
    const first = Math.floor(o / OUTPUTS) * kernel * pairs;
    for (let i = 0; i < inputs; i++) {
      for (let y = 0; y < kernel; y++) {
        for (let x = 0; x < kernel; x++, from++) {
          const run = x * inputs + i;
          const pair = first + y * pairs + (run >> 1);
          weights[(pair * OUTPUTS + (o % OUTPUTS)) * 2 + (run & 1)] = weight[from];
        }
      }
    }
  }
  const factors = new Float32Array(all);
  factors.set(factor);
  return { weights, factors, pairs, outputs: all };
}

/** Lays out a convolution in its memory, and computes it. */
export class SimdKernel {
  private readonly memory: WebAssembly.Memory;
  private readonly code: Code;
  private readonly threads: Rows;
  private readonly packed = new WeakMap<Convolution, Packed>();

  /** start: threads, where there are some. Throws where WebAssembly has no SIMD. */
  constructor(start?: StartThreads) {
    const module = new WebAssembly.Module(start ? shared : single);
    const size = start ? { initial: 1, maximum: MOST_PAGES, shared: true } : { initial: 1 };
    const memory = (this.memory = new WebAssembly.Memory(size));
    const code = (this.code = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Code);
    this.threads = start?.(module, memory, code) ?? { run: (job) => computeRows(code, job, 0, job[0]) };
  }

  /** See Kernel. */
  rows(convolution: Convolution, x: Bytes, bias: Int32Array): Uint8Array {
    let packed = this.packed.get(convolution);
    if (!packed) this.packed.set(convolution, (packed = pack(convolution)));
    const { inputs, outputs, kernel } = convolution;
    const [height, width] = [x.height - kernel + 1, x.width - kernel + 1];
    const { weights, factors, pairs, outputs: all } = packed;
    const beyond = POSITIONS * Math.max(inputs, all); // of a row of fewer positions than are computed together
    const sizes = [x.data.length + 8, 2 * (x.data.length + beyond) + 8, weights.byteLength, 4 * all, 4 * all];
    const [bytes, wide, weight, sum, factor, y] = this.laidOut([...sizes, height * width * all + beyond]);
    const { buffer } = this.memory;
    new Uint8Array(buffer, bytes).set(x.data);
    new Int16Array(buffer, weight).set(weights);
    new Int32Array(buffer, sum, all).fill(0).set(bias);
    new Float32Array(buffer, factor).set(factors);
    this.code.widen(bytes, wide, x.data.length);
    const [across, down] = [2 * inputs, 2 * inputs * x.width];
    this.threads.run(Int32Array.of(height, width, wide, across, down, kernel, pairs, weight, sum, factor, y, all));
    return compact(new Uint8Array(buffer, y, height * width * all), all, outputs);
  }

  async release(): Promise<void> {
    // memory goes with the object
  }

  /** Where parts of those sizes begin; the memory grows as far as they need it. */
  private laidOut(sizes: number[]): number[] {
    const places: number[] = [];
    let end = START;
    for (const size of sizes) {
      places.push(end);
      end += Math.ceil(size / 64) * 64;
    }
    const missing = end - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    return places;
  }
}

/** The first outputs of each position. */
function compact(data: Uint8Array, all: number, outputs: number): Uint8Array {
  if (all === outputs) return data.slice();
  const result = new Uint8Array((data.length / all) * outputs);
  for (let from = 0, to = 0; from < data.length; from += all) {
    for (let o = 0; o < outputs; o++) result[to++] = data[from + o];
  }
  return result;
}
