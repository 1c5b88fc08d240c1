/** Section 10 of docs/format.md: the hash by which a file names its model. */

import type { Safetensors } from "./safetensors.js";
import { Sha256 } from "./sha256.js";

const DIGITS = 16;

/** 16 hexadecimal digits over the configuration and all arrays. */
export function fingerprint(file: Safetensors): string {
  const hash = new Sha256();
  const text = new TextEncoder();
  hash.update(text.encode(asPython(file.metadata.config)));
  for (const name of [...file.tensors.keys()].sort()) {
    const { type, shape, data } = file.tensors.get(name)!;
    const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
    hash.update(text.encode(`${name} ${type} (${sizes})`));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest().slice(0, DIGITS);
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
