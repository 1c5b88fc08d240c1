/**
 * Convolutions of bytes, exact on every machine: whole numbers multiplied and added by ONNX Runtime's WebAssembly.
 *
 * Kernels for bytes are the fastest. If they do not add exactly here, which is tried at the start, kernels for float32
 * do, which hold every sum of a valid model. See docs/format.md, section 2.
 */

import type { InferenceSession, Tensor, TypedTensor } from "onnxruntime-common";
import { ModelError } from "../format/errors.js";
import type { Convolution } from "../model/model.js";
import { type Bytes, type Seen, newBytes, together } from "./bytes.js";
import { type Constant, MICROSOFT, type Node, type Value, packModel } from "./onnx_graph.js";
import { isExact } from "./probes.js";

/** As much of onnxruntime-web as this takes. */
export interface Runtime {
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<InferenceSession> };
  readonly Tensor: new (type: "uint8" | "int8" | "float32" | "int32", data: unknown, shape: number[]) => Tensor;
}

export type Path = "int8" | "float32";

const INPUTS: Record<string, Value> = {
  x: ["uint8", 4],
  weight: ["int8", 4],
  factor: ["float32", 1],
  bias: ["int32", 1],
};
const WINDOW_BYTES = 2 ** 24; // of all windows of the rows that are computed at a time

/** By ONNX Runtime's kernels for bytes. */
function graphOfBytes(): [Node[], Record<string, Constant>] {
  const inputs = ["x", "one", "none", "weight", "factor", "signed none", "one", "none", "bias"];
  const node = { operator: "QLinearConv", inputs, output: "y", attributes: { channels_last: 1 }, domain: MICROSOFT };
  const constants: Record<string, Constant> = {
    one: { type: "float32", value: 1 },
    none: { type: "uint8", value: 0 },
    "signed none": { type: "int8", value: 0 },
  };
  return [[node], constants];
}

/** By kernels for float32, which add whole numbers exactly up to 2^24. */
function graphOfFloats(): [Node[], Record<string, Constant>] {
  const node = (operator: string, inputs: string[], output: string, attributes = {}): Node => ({
    operator,
    inputs,
    output,
    attributes,
  });
  const nodes = [
    node("Cast", ["x"], "real x", { to: 1 }),
    node("Transpose", ["real x"], "planes", { perm: [0, 3, 1, 2] }),
    node("Cast", ["weight"], "real weight", { to: 1 }),
    node("Cast", ["bias"], "real bias", { to: 1 }),
    node("Conv", ["planes", "real weight", "real bias"], "sums"),
    node("Transpose", ["sums"], "positions", { perm: [0, 2, 3, 1] }),
    node("Mul", ["positions", "factor"], "product"),
    node("Clip", ["product", "lowest", "highest"], "inside"),
    node("Round", ["inside"], "whole"),
    node("Cast", ["whole"], "y", { to: 2 }),
  ];
  return [nodes, { lowest: { type: "float32", value: 0 }, highest: { type: "float32", value: 255 } }];
}

const GRAPHS = { int8: graphOfBytes, float32: graphOfFloats };

/** Computes convolutions by one of the graphs. */
export class Convolver {
  private room: Uint8Array = new Uint8Array(); // for what is seen, which is new memory otherwise

  private constructor(
    readonly path: Path,
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
  ) {}

  /** The first of `paths` that adds exactly on this machine. Throws if there is none. */
  static async fastest(runtime: Runtime, paths: readonly Path[] = ["int8", "float32"]): Promise<Convolver> {
    for (const path of paths) {
      const [nodes, constants] = GRAPHS[path]();
      const model = packModel(nodes, constants, INPUTS, ["y", ["uint8", 4]]);
      const session = await runtime.InferenceSession.create(model, { graphOptimizationLevel: "disabled" });
      const convolver = new Convolver(path, runtime, session);
      if (await isExact((...given) => convolver.rows(...given))) return convolver;
      await session.release();
    }
    throw new Error("no convolution of this machine adds whole numbers exactly, so cdraw cannot decode here");
  }

  /** conv of docs/format.md. seen: channels side by side, all of one size. bias: (outputs). */
  async run(convolution: Convolution, seen: readonly Seen[], bias: Int32Array): Promise<Bytes> {
    const { kernel, inputs, outputs } = convolution;
    if (seen.reduce((sum, { bytes }) => sum + bytes.channels, 0) !== inputs || bias.length !== outputs) {
      throw new ModelError("the networks of the model do not fit each other");
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
    if (height <= some) return { height, width, channels: outputs, data: await this.rows(convolution, x, bias) };
    const result = newBytes(height, width, outputs);
    for (let y = 0; y < height; y += some) {
      const last = Math.min(y + some, height);
      const row = x.width * inputs;
      const strip = { ...x, height: last - y + kernel - 1, data: x.data.subarray(y * row, (last + kernel - 1) * row) };
      result.data.set(await this.rows(convolution, strip, bias), y * width * outputs);
    }
    return result;
  }

  /** Of some rows with their margins. */
  private async rows(convolution: Convolution, x: Bytes, bias: Int32Array): Promise<Uint8Array> {
    const { outputs, inputs, kernel, weight, factor } = convolution;
    const { Tensor } = this.runtime;
    const { y } = await this.session.run({
      x: new Tensor("uint8", x.data, [1, x.height, x.width, inputs]),
      weight: new Tensor("int8", weight, [outputs, inputs, kernel, kernel]),
      factor: new Tensor("float32", factor, [outputs]),
      bias: new Tensor("int32", bias, [outputs]),
    });
    return (y as TypedTensor<"uint8">).data;
  }
}
