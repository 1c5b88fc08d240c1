/** Section 10 of docs/format.md: the hash by which a file names its model. */

import type { Safetensors } from "./safetensors.js";
import { sha256 } from "./sha256.js";

const DIGITS = 16;

/** 16 hexadecimal digits over the configuration and all arrays. */
export async function fingerprint(file: Safetensors): Promise<string> {
  const text = new TextEncoder();
  const parts: Uint8Array[] = [text.encode(asPython(file.metadata.config))];
  for (const name of [...file.tensors.keys()].sort()) {
    const { type, shape, data } = file.tensors.get(name)!;
    const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
    parts.push(text.encode(`${name} ${type} (${sizes})`));
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return (await sha256(joined(parts))).slice(0, DIGITS);
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** A configuration with an empty name, as Python writes JSON with sorted keys; numbers stay as they were written. */
function asPython(json: string): string {
  const kept = json.replace(/("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*)/g, (_, word, number) => word ?? `"#${number}"`);
  const config = JSON.parse(kept) as Record<string, unknown>;
  config.name = "";
  return written(config);
}

function written(value: unknown): string {
  if (typeof value === "string") return value.startsWith("#") ? value.slice(1) : JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  if (value && typeof value === "object") {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, each]) => `${JSON.stringify(key)}: ${written(each)}`).join(", ")}}`;
  }
  return String(value);
}
