/** A model as the decoder uses it: its configuration, and its tensors by name. */

import { ModelError } from "../format/errors.js";
import { type Config, parseConfig } from "./config.js";
import { fingerprint } from "./fingerprint.js";
import { type Data, type Kind, type Safetensors, readSafetensors } from "./safetensors.js";

const FORMAT = "cdraw model 8";
const WEIGHT_LIMIT = 63; // of magnitudes: so products of bytes are exact in any kernel
export const SUM_LIMIT = 2 ** 24; // float32 holds every integer up to here
const ROWS = 576; // of the frequency table
const SYMBOLS = 32;
const LARGEST_MATRIX = 32; // blocks have no more numbers on a side

/** The numbers of a convolution. */
export interface Convolution {
  readonly outputs: number;
  readonly inputs: number;
  /** 1 or 3. */
  readonly kernel: number;
  /** (outputs, inputs, kernel, kernel), -63 to 63. */
  readonly weight: Int8Array;
  /** (outputs). */
  readonly factor: Float32Array;
  /** (outputs): the largest magnitude of the sum of products, whatever the bytes. */
  readonly reach: Float64Array;
}

/** The transform of a layer. */
export interface Transform {
  /** Numbers on a side of a block. */
  readonly side: number;
  /** (side, side) in 1/2^13. */
  readonly functions: Float64Array;
  readonly filters: Float64Array;
  /** Of coefficient i: side side plane + side row + column. */
  readonly places: Int16Array;
}

/** A model file that was checked. */
export class Model {
  readonly transforms: readonly Transform[];
  private readonly convolutions = new Map<string, Convolution>();

  private constructor(
    private readonly file: Safetensors,
    readonly config: Config,
    /** 16 hexadecimal digits. */
    readonly fingerprint: string,
  ) {
    this.transforms = config.layers.map((_, i) => this.transform(i));
    this.checkSteps();
    this.checkTables();
  }

  /** From a safetensors file. Throws ModelError. */
  static async read(bytes: Uint8Array): Promise<Model> {
    const file = readSafetensors(bytes);
    const { format, config } = file.metadata;
    if (format !== FORMAT || typeof config !== "string") {
      throw new ModelError(`the model file is none of the format ${FORMAT}`);
    }
    const parsed = parseConfig(config);
    return new Model(file, parsed, await fingerprint(file));
  }

  /** The numbers of a tensor. shape: what it must have; -1 stands for any size. Throws ModelError. */
  tensor(name: string, kind: Kind, shape: readonly number[]): Data {
    const found = this.file.tensors.get(name);
    const fits = found?.shape.length === shape.length && shape.every((n, i) => n < 0 || n === found.shape[i]);
    if (!found || !fits || found.kind !== kind) throw new ModelError(`the model file lacks ${name}, as it should be`);
    return found.data;
  }

  /** Whole numbers that some networks add in place of a convolution's own bias. outputs: how many. */
  bias(name: string, outputs: number): Int32Array {
    return this.tensor(name, "I32", [outputs]) as Int32Array;
  }

  /** Those of step t in a table of (steps, outputs). */
  biasOfStep(name: string, t: number, outputs: number): Int32Array {
    const table = this.tensor(name, "I32", [this.config.steps.length, outputs]) as Int32Array;
    return table.subarray(t * outputs, (t + 1) * outputs);
  }

  /** Weights and factors of a convolution. Throws ModelError. */
  convolution(name: string): Convolution {
    let found = this.convolutions.get(name);
    if (!found) {
      const shape = this.file.tensors.get(`${name}.weight`)?.shape ?? [];
      const [outputs, inputs, kernel] = shape;
      const weight = this.tensor(`${name}.weight`, "I8", [-1, -1, kernel, kernel]) as Int8Array;
      const factor = this.tensor(`${name}.factor`, "F32", [outputs]) as Float32Array;
      const reach = reachOf(weight, outputs);
      const exact = reach && factor.every((f) => f >= 0 && f < SUM_LIMIT);
      if (!exact || (kernel !== 1 && kernel !== 3)) throw new ModelError(`${name} could not be computed exactly`);
      found = { outputs, inputs, kernel, weight, factor, reach };
      this.convolutions.set(name, found);
    }
    return found;
  }

  /** The distributions of a pass, (576, 32), each summing to 2^24. */
  frequencies(pass: number): Int32Array {
    const all = this.tensor("tables.frequencies", "I32", [-1, ROWS, SYMBOLS]) as Int32Array;
    const size = ROWS * SYMBOLS;
    if ((pass + 1) * size > all.length) throw new ModelError("the model file has too few tables");
    return all.subarray(pass * size, (pass + 1) * size);
  }

  get slopes(): Int32Array {
    return this.tensor("tables.slopes", "I32", [ROWS]) as Int32Array;
  }

  get residualFrequencies(): Int32Array {
    return this.tensor("tables.residual_frequencies", "I32", [256, SYMBOLS]) as Int32Array;
  }

  /** 32 logarithms of magnitudes. */
  get known(): Uint8Array {
    return this.tensor("tables.known", "U8", [32]) as Uint8Array;
  }

  /** 1024 logarithms of quotients. */
  get quotients(): Uint8Array {
    return this.tensor("tables.quotients", "U8", [1024]) as Uint8Array;
  }

  /** The axes of colour, (3, 3) in 1/2^13. */
  get axes(): Int16Array {
    return this.tensor("tables.axes", "I16", [3, 3]) as Int16Array;
  }

  private transform(i: number): Transform {
    const side = this.file.tensors.get(`tables.functions.${i}`)?.shape[0] ?? 0;
    const matrix = (name: string) => Float64Array.from(this.tensor(`tables.${name}.${i}`, "I16", [side, side]));
    const places = this.tensor(`tables.places.${i}`, "I16", [-1]) as Int16Array;
    const { layers } = this.config;
    const expected = i + 1 < layers.length ? (2 * layers[i].stride) / layers[i + 1].stride : layers[i].stride;
    const inside = places.every((place) => place >= 0 && place < 3 * side * side);
    if (side !== expected || side > LARGEST_MATRIX || !inside || new Set(places).size !== places.length) {
      throw new ModelError(`the transform of layer ${i} of the model makes no sense`);
    }
    return { side, functions: matrix("functions"), filters: matrix("filters"), places };
  }

  private checkSteps(): void {
    for (const step of this.config.steps) {
      if (step.last > this.transforms[step.layer].places.length) {
        throw new ModelError("a step of the model sends coefficients that it has not");
      }
    }
  }

  private checkTables(): void {
    const passes = this.config.steps[this.config.steps.length - 1].pass + 1;
    for (const table of [this.residualFrequencies, ...Array.from({ length: passes }, (_, i) => this.frequencies(i))]) {
      for (let row = 0; row < table.length; row += SYMBOLS) {
        if (!isDistribution(table, row)) throw new ModelError("the tables of frequencies of the model make no sense");
      }
    }
  }
}

/** Whether the frequencies from `row` on sum to 2^24, and those of 0 lie at the ends. */
function isDistribution(table: Int32Array, row: number): boolean {
  let [sum, runs] = [0, 0];
  for (let i = row; i < row + SYMBOLS; i++) {
    if (table[i] < 0) return false;
    if (table[i] > 0 && (i === row || table[i - 1] === 0)) runs++;
    sum += table[i];
  }
  return runs === 1 && sum === SUM_LIMIT;
}

/** See Convolution; undefined if weights go beyond their limit. */
function reachOf(weight: Int8Array, outputs: number): Float64Array | undefined {
  const reach = new Float64Array(outputs);
  const each = weight.length / outputs;
  for (let o = 0, i = 0; o < outputs; o++) {
    let sum = 0;
    for (const end = i + each; i < end; i++) {
      const size = weight[i] < 0 ? -weight[i] : weight[i];
      if (size > WEIGHT_LIMIT) return undefined;
      sum += size;
    }
    reach[o] = 255 * sum;
  }
  return reach;
}
