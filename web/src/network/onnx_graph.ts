/** ONNX models as bytes: as much of the format (protocol buffers, see onnx.proto3) as a convolution takes. */

const [IR_VERSION, OPSET] = [8, 17];
export const MICROSOFT = "com.microsoft"; // the domain of ONNX Runtime's own operators
/** Numbers of types in TensorProto. */
export const TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6 } as const;

export type Type = keyof typeof TYPES;

/** An operator, the names of what goes in and comes out, and its attributes. */
export interface Node {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
  readonly domain?: string;
}

/** A constant with one number. */
export interface Constant {
  readonly type: "float32" | "uint8" | "int8";
  readonly value: number;
}

/** Type and number of dimensions. */
export type Value = readonly [Type, number];

/** Seven bits a byte, least significant first; the high bit says that more follow. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

function number(place: number, value: number): number[] {
  return [...varint(place << 3), ...varint(value)];
}

function part(place: number, data: readonly number[] | string): number[] {
  const bytes = typeof data === "string" ? [...new TextEncoder().encode(data)] : data;
  return [...varint((place << 3) | 2), ...varint(bytes.length), ...bytes];
}

function packNode({ operator, inputs, output, attributes = {}, domain = "" }: Node): number[] {
  const packed = Object.entries(attributes).flatMap(([name, value]) => {
    const stored =
      typeof value === "number"
        ? [...number(3, value), ...number(20, 2)]
        : [...value.flatMap((item) => number(8, item)), ...number(20, 7)];
    return part(5, [...part(1, name), ...stored]);
  });
  const names = inputs.flatMap((name) => part(1, name));
  return [...names, ...part(2, output), ...part(4, operator), ...packed, ...part(7, domain)];
}

function packConstant(name: string, { type, value }: Constant): number[] {
  const data = type === "float32" ? new Uint8Array(new Float32Array([value]).buffer) : new Uint8Array([value]);
  return [...number(2, TYPES[type]), ...part(8, name), ...part(9, [...data])];
}

/** Of whatever size. */
function packValue(name: string, [type, dimensions]: Value): number[] {
  const sizes = Array.from({ length: dimensions }, (_, i) => part(1, part(2, `${name}${i}`))).flat();
  return [...part(1, name), ...part(2, part(1, [...number(1, TYPES[type]), ...part(2, sizes)]))];
}

/** As ModelProto. inputs: by name; output: with its name. */
export function packModel(
  nodes: readonly Node[],
  constants: Readonly<Record<string, Constant>>,
  inputs: Readonly<Record<string, Value>>,
  output: readonly [string, Value],
): Uint8Array {
  const graph = [
    ...nodes.flatMap((node) => part(1, packNode(node))),
    ...part(2, "cdraw"),
    ...Object.entries(constants).flatMap(([name, constant]) => part(5, packConstant(name, constant))),
    ...Object.entries(inputs).flatMap(([name, value]) => part(11, packValue(name, value))),
    ...part(12, packValue(...output)),
  ];
  const opsets = [["", OPSET] as const, [MICROSOFT, 1] as const].flatMap(([domain, version]) =>
    part(8, [...part(1, domain), ...number(2, version)]),
  );
  return new Uint8Array([...number(1, IR_VERSION), ...opsets, ...part(7, graph)]);
}
