/** Safetensors files: a header in JSON that says where each array lies, then the arrays. */

import { ModelError } from "../format/errors.js";

const KINDS = { I8: Int8Array, U8: Uint8Array, I16: Int16Array, I32: Int32Array, F32: Float32Array } as const;
const NAMES = { I8: "int8", U8: "uint8", I16: "int16", I32: "int32", F32: "float32" } as const;
const MOST_DIMENSIONS = 4;

export type Kind = keyof typeof KINDS;
export type Data = Int8Array | Uint8Array | Int16Array | Int32Array | Float32Array;

/** An array of a model file. */
export interface Tensor {
  readonly kind: Kind;
  /** As NumPy calls it. */
  readonly type: string;
  readonly shape: readonly number[];
  readonly data: Data;
}

export interface Safetensors {
  readonly metadata: Record<string, string>;
  readonly tensors: Map<string, Tensor>;
}

/** Read a file. Every place and size is checked against the bytes that are there. Throws ModelError. */
export function readSafetensors(file: Uint8Array): Safetensors {
  if (file.length < 8) throw new ModelError("the model file is too short");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = view.getUint32(0, true);
  if (view.getUint32(4, true) || 8 + length > file.length) throw new ModelError("the model file is cut off");
  let header: Record<string, unknown>;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(file.subarray(8, 8 + length)));
  } catch {
    throw new ModelError("the header of the model file is no JSON");
  }
  const body = file.subarray(8 + length);
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name !== "__metadata__") tensors.set(name, readTensor(name, entry, body));
  }
  return { metadata: (header.__metadata__ ?? {}) as Record<string, string>, tensors };
}

function readTensor(name: string, entry: unknown, body: Uint8Array): Tensor {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const whole = (list: unknown, most: number): list is number[] =>
    Array.isArray(list) && list.length <= most && list.every((n) => Number.isSafeInteger(n) && n >= 0);
  if (!Object.hasOwn(KINDS, dtype as string) || !whole(shape, MOST_DIMENSIONS) || !whole(offsets, 2)) {
    throw new ModelError(`${name} of the model file makes no sense`);
  }
  const kind = dtype as Kind;
  const [begin, end] = offsets;
  const count = shape.reduce((product, size) => product * size, 1);
  if (!(begin <= end && end <= body.length && count * KINDS[kind].BYTES_PER_ELEMENT === end - begin)) {
    throw new ModelError(`${name} of the model file lies outside of it`);
  }
  const data = new KINDS[kind](body.slice(begin, end).buffer); // a copy, as places need not be aligned
  return { kind, type: NAMES[kind], shape, data };
}
