/**
 * Convolutions of bytes, exact on every machine: whole numbers multiplied and added by one of several kernels, which is
 * tried at the start. See docs/format.md, section 2.
 */

import { ModelError } from "../format/errors.js";
import { type Convolution, SUM_LIMIT } from "../model/model.js";
import { type Bytes, type Seen, newBytes, together } from "./bytes.js";
import { OrtKernel, type Runtime } from "./ort_kernel.js";
import { FEW, MANY, isExact } from "./probes.js";
import { SimdKernel, type StartThreads } from "./simd_kernel.js";

/** Computes the rows of a convolution, from bytes with their margins: (rows, columns, outputs). */
export interface Kernel {
  rows(convolution: Convolution, x: Bytes, bias: Int32Array): Promise<Uint8Array> | Uint8Array;
  release(): Promise<void>;
}

/**
 * simd: this package's own, ready at once. int8 and float32: those of ONNX Runtime for such numbers, of which float32 holds
 * every sum of a valid model.
 */
export type Path = "simd" | "int8" | "float32";

const WINDOW_BYTES = 2 ** 24; // of all windows of the rows that are computed at a time

/** Computes convolutions by one of the kernels. */
export class Convolver {
  private room: Uint8Array = new Uint8Array(); // for what is seen, which is new memory otherwise

  private constructor(
    readonly path: Path,
    private readonly kernel: Kernel,
  ) {}

  /**
   * By the first of `paths` that adds exactly on this machine. load: ONNX Runtime, which is asked for only if it is
   * needed. threads: of the own kernel, if there are some. Throws if there is none.
   */
  static async fastest(
    load: () => Promise<Runtime>,
    paths: readonly Path[] = ["simd", "int8", "float32"],
    threads?: StartThreads,
  ): Promise<Convolver> {
    for (const path of paths) {
      const kernel = await made(path, load, threads).catch(() => undefined); // whatever this machine lacks
      if (kernel && (await isExact(kernel, path === "simd" ? FEW : MANY))) return new Convolver(path, kernel);
      await kernel?.release();
    }
    throw new Error("no convolution of this machine adds whole numbers exactly, so cdraw cannot decode here");
  }

  /** conv of docs/format.md. seen: channels side by side, all of one size. bias: (outputs). */
  async run(convolution: Convolution, seen: readonly Seen[], bias: Int32Array): Promise<Bytes> {
    const { kernel, inputs, outputs } = convolution;
    if (seen.reduce((sum, { bytes }) => sum + bytes.channels, 0) !== inputs || bias.length !== outputs) {
      throw new ModelError("the networks of the model do not fit each other");
    }
    if (bias.some((b, o) => Math.abs(b) + convolution.reach[o] >= SUM_LIMIT)) {
      throw new ModelError("the sums of the model go beyond 2^24, where exactness ends");
    }
    const room = this.room; // none while another convolution uses it
    this.room = new Uint8Array();
    const x = together(seen, (kernel - 1) / 2, room);
    try {
      return await this.strips(convolution, x, bias);
    } finally {
      this.room = x.data.buffer.byteLength > room.length ? x.data : room;
    }
  }

  /** Some rows at a time, so that windows take bounded memory. */
  private async strips(convolution: Convolution, x: Bytes, bias: Int32Array): Promise<Bytes> {
    const { kernel, inputs, outputs } = convolution;
    const [height, width] = [x.height - kernel + 1, x.width - kernel + 1];
    const some = Math.max(1, Math.floor(WINDOW_BYTES / (width * inputs * kernel * kernel)));
    if (height <= some) return { height, width, channels: outputs, data: await this.kernel.rows(convolution, x, bias) };
    const result = newBytes(height, width, outputs);
    for (let y = 0; y < height; y += some) {
      const last = Math.min(y + some, height);
      const row = x.width * inputs;
      const strip = { ...x, height: last - y + kernel - 1, data: x.data.subarray(y * row, (last + kernel - 1) * row) };
      result.data.set(await this.kernel.rows(convolution, strip, bias), y * width * outputs);
    }
    return result;
  }
}

async function made(path: Path, load: () => Promise<Runtime>, threads?: StartThreads): Promise<Kernel> {
  if (path !== "simd") return OrtKernel.create(await load(), path);
  try {
    return new SimdKernel(threads);
  } catch {
    return new SimdKernel(); // not everywhere may threads share as much memory
  }
}
