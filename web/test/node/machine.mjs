/** What the tests in Node share: the model, ONNX Runtime, and files. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Convolver, Model, Sha256 } from "../../dist/core.js";
import { DIGESTS } from "../digests.mjs";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const PACKAGE = join(ROOT, "convdraw_codec");
const RUNTIME = join(dirname(createRequire(import.meta.url).resolve("onnxruntime-web")));

/** ONNX Runtime's WebAssembly, on so many threads, for which it fetches its own script: Node's fetch knows no files. */
export async function runtime(threads) {
  const fetched = globalThis.fetch;
  globalThis.fetch = async (url, ...rest) =>
    String(url).startsWith("file:") ? { blob: async () => String(url) } : fetched(url, ...rest);
  const made = URL.createObjectURL;
  URL.createObjectURL = (blob) => (typeof blob === "string" ? blob : made(blob));
  const ort = await import(pathToFileURL(join(RUNTIME, "ort.wasm.min.mjs")).href);
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return ort;
}

export async function convolver(threads = 1, paths = undefined) {
  return Convolver.fastest(() => runtime(threads), paths);
}

export function photoModel() {
  return Model.read(new Uint8Array(readFileSync(join(PACKAGE, "models", "photo.safetensors"))));
}

/** Name, bytes, and digests by fill, of each file of the conformance set. */
export function conformanceSet() {
  const folder = join(PACKAGE, "conformance");
  return Object.entries(DIGESTS).map(([name, expected]) => {
    return { name, file: new Uint8Array(readFileSync(join(folder, `${name}.cdr`))), expected };
  });
}

/** The bands of a picture in the order of Pillow, as `cdraw selftest` hashes them. */
export function digest({ width, height, data }, mode) {
  const bands = { RGB: [0, 1, 2], L: [0], RGBA: [0, 1, 2, 3], LA: [0, 3] }[mode];
  const bytes = new Uint8Array(width * height * bands.length);
  for (let i = 0, to = 0; i < data.length; i += 4) for (const band of bands) bytes[to++] = data[i + band];
  const head = new TextEncoder().encode(`${mode} (${width}, ${height})`);
  return new Sha256().update(head).update(bytes).digest();
}
