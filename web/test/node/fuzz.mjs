/**
 * Damaged and hostile files: `node test/node/fuzz.mjs [COUNT] [SEED]`. Each gives a picture of the size in its header or a
 * CdrError, in bounded time and memory.
 */

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CdrError, Model, decodeBytes, parseHeader } from "../../dist/core.js";
import { crc32, packLength } from "./containers.mjs";
import { ROOT, convolver } from "./machine.mjs";

const FOLDER = join(ROOT, "tests", "data");
const MAX_PIXELS = 128 * 128;
const MAX_BYTES = 256 * 2 ** 20; // of memory, beyond what the runtime takes
const MAX_SECONDS = 5; // of a processor, for one input

/** Pseudo-random whole numbers below a limit (Park and Miller). */
function numbers(seed) {
  let state = seed;
  return (limit) => (state = (state * 48271) % 2147483647) % limit;
}

/** Some bytes changed, taken out, put in or cut off. */
function damaged(file, random) {
  let bytes = [...file];
  for (let i = 1 + random(3); i > 0; i--) {
    const at = random(bytes.length);
    const kind = random(6);
    if (kind === 0) bytes[at] ^= 1 << random(8);
    if (kind === 1) bytes[at] = random(256);
    if (kind === 2) bytes.splice(at, 1 + random(8));
    if (kind === 3) bytes.splice(at, 0, ...Array.from({ length: 1 + random(8) }, () => random(256)));
    if (kind === 4) bytes = bytes.slice(0, at + 1);
    if (kind === 5) bytes[random(Math.min(32, bytes.length))] = random(256);
    if (!bytes.length) bytes = [0];
  }
  return Uint8Array.from(bytes);
}

/** Header and checks made right again, so that what lies behind them is reached. */
function repaired(bytes) {
  if (bytes.length < 33) return bytes;
  const result = bytes.slice();
  const view = new DataView(result.buffer);
  result.set(Uint8Array.of(0xcd, 0x43, 0x44, 0x52, 6));
  view.setUint32(28, crc32(result.subarray(0, 28)), true);
  let chain = crc32(result.subarray(0, 26));
  for (let at = 32, part = 0; at < result.length; part++) {
    let end = at + (part < result[19] ? 4 : 0);
    let [length, shift] = [0, 0];
    do {
      length += (result[end] & 127) * 2 ** shift;
      shift += 7;
    } while (result[end++] > 127 && shift < 35);
    end += length;
    if (end + 3 > result.length) break;
    chain = crc32(result.subarray(at, end), chain);
    result.set(Uint8Array.of(chain & 255, (chain >>> 8) & 255, (chain >>> 16) & 255), end);
    at = end + 3;
  }
  return result;
}

/** A file whose segments hold anything. */
function invented(file, random) {
  const header = file.slice(0, 32);
  const segments = 1 + random(header[18]);
  const parts = [...header];
  header.set(Uint8Array.of(1 + random(64), 0, 1 + random(64), 0), 14);
  header[13] = random(2);
  header[26] = segments;
  header[27] = 0;
  parts.splice(0, 32, ...header);
  parts[19] = 0;
  for (let i = 0; i < segments; i++) {
    const length = random(40);
    parts.push(...packLength(length), ...Array.from({ length }, () => random(256)), 0, 0, 0);
  }
  return repaired(Uint8Array.from(parts));
}

/** Those of the conformance set that hold WebP, made files of the model of another one. */
function lossless(other) {
  const folder = join(ROOT, "convdraw_codec", "conformance");
  return ["RGB", "L", "RGBA", "LA"].map((mode) => {
    const file = new Uint8Array(readFileSync(join(folder, `webp-${mode}.cdr`)));
    file.set(other.subarray(5, 13), 5);
    file[18] = other[18];
    return repaired(file);
  });
}

/** Decodes one input; throws for what must not be. Whether it gave a picture. */
async function tried(model, convolve, file) {
  const start = process.cpuUsage();
  try {
    const { width, height, data } = await decodeBytes(model, convolve, file, { maxPixels: MAX_PIXELS });
    const header = parseHeader(file);
    if (width !== header.width || height !== header.height || data.length !== 4 * width * height) throw new Error("size");
    return true;
  } catch (error) {
    if (!(error instanceof CdrError)) throw error;
    return false;
  } finally {
    const { user, system } = process.cpuUsage(start);
    const seconds = (user + system) / 1e6;
    if (seconds > MAX_SECONDS) throw new Error(`an input took ${seconds} s of a processor`);
  }
}

/** Tries so many inputs; how many of them gave pictures. */
export async function fuzz(count, seed, report = () => undefined) {
  const random = numbers(seed);
  const model = await Model.read(new Uint8Array(readFileSync(join(FOLDER, "tiny.safetensors"))));
  const convolve = await convolver();
  const names = readdirSync(FOLDER).filter((name) => name.startsWith("tiny") && name.endsWith(".cdr"));
  const files = names.map((name) => new Uint8Array(readFileSync(join(FOLDER, name))));
  files.push(...lossless(files[0]));
  let pictures = 0;
  const memory = process.memoryUsage.rss();
  for (let i = 0; i < count; i++) {
    const file = files[random(files.length)];
    const kind = random(4);
    const input = kind === 0 ? damaged(file, random) : kind < 3 ? repaired(damaged(file, random)) : invented(file, random);
    try {
      pictures += Number(await tried(model, convolve, input));
      const more = process.memoryUsage.rss() - memory;
      if (more > MAX_BYTES) throw new Error(`it took ${more} bytes`);
    } catch (error) {
      throw new Error(`input ${i} of seed ${seed}, ${Buffer.from(input).toString("hex")}: ${error.stack}`);
    }
    if (i % 1000 === 999) report(i + 1, pictures);
  }
  return pictures;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [count, seed] = [Number(process.argv[2] ?? 1000), Number(process.argv[3] ?? 1)];
  const pictures = await fuzz(count, seed, (done, found) => console.log(`${done} inputs, ${found} pictures`));
  console.log(`${count} inputs of seed ${seed}: ${pictures} pictures, all others refused with a sentence`);
  process.exit(0); // the runtime's threads would keep it
}
