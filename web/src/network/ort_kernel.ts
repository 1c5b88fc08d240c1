/** Convolutions by ONNX Runtime's WebAssembly: by its kernels for bytes, or by those for float32. */

import type { InferenceSession, Tensor, TypedTensor } from "onnxruntime-common";
import type { Convolution } from "../model/model.js";
import type { Bytes } from "./bytes.js";
import { type Constant, MICROSOFT, type Node, type Value, packModel } from "./onnx_graph.js";

/** As much of onnxruntime-web as this takes. */
export interface Runtime {
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<InferenceSession> };
  readonly Tensor: new (type: "uint8" | "int8" | "float32" | "int32", data: unknown, shape: number[]) => Tensor;
}

const INPUTS: Record<string, Value> = {
  x: ["uint8", 4],
  weight: ["int8", 4],
  factor: ["float32", 1],
  bias: ["int32", 1],
};

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
export class OrtKernel {
  private constructor(
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
  ) {}

  static async create(runtime: Runtime, graph: keyof typeof GRAPHS): Promise<OrtKernel> {
    const [nodes, constants] = GRAPHS[graph]();
    const model = packModel(nodes, constants, INPUTS, ["y", ["uint8", 4]]);
    const session = await runtime.InferenceSession.create(model, { graphOptimizationLevel: "disabled" });
    return new OrtKernel(runtime, session);
  }

  /** See Kernel. */
  async rows(convolution: Convolution, x: Bytes, bias: Int32Array): Promise<Uint8Array> {
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

  release(): Promise<void> {
    return this.session.release();
  }
}
