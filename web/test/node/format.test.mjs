/** Container, range decoder and model, without a page. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  CdrError,
  Convolver,
  Incoming,
  Model,
  ModelError,
  RangeDecoder,
  Sha256,
  TruncatedError,
  budgetOf,
  decodeBytes,
  distributionOf,
  parseHeader,
  truncate,
} from "../../dist/core.js";
import { crc32 } from "./containers.mjs";
import { ROOT, conformanceSet, convolver, photoModel, runtime } from "./machine.mjs";

const FORMAT = readFileSync(join(ROOT, "docs", "format.md"), "utf8");
const file = conformanceSet().find(({ name }) => name === "steps-10").file;

/** A header with other bytes, and the right checksum. */
function withBytes(change) {
  const bytes = file.slice();
  for (const [at, value] of Object.entries(change)) bytes[at] = value;
  new DataView(bytes.buffer).setUint32(28, crc32(bytes.subarray(0, 28)), true);
  return bytes;
}

test("SHA-256 is that of Node", () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 1000]) {
    const data = Uint8Array.from({ length }, (_, i) => i * 7);
    assert.equal(new Sha256().update(data).digest(), createHash("sha256").update(data).digest("hex"));
  }
});

test("the fingerprint of the model is that of the files, without the browser's SHA-256 as well", async () => {
  assert.equal((await photoModel()).fingerprint, parseHeader(file).model);
  const { subtle } = globalThis.crypto;
  Object.defineProperty(globalThis.crypto, "subtle", { value: undefined, configurable: true });
  try {
    assert.equal((await photoModel()).fingerprint, parseHeader(file).model);
  } finally {
    Object.defineProperty(globalThis.crypto, "subtle", { value: subtle, configurable: true });
  }
});

test("the range decoder finds the symbols of the example in docs/format.md", () => {
  const example = FORMAT.split("### A worked example")[1].split("\n### ")[0];
  const decoder = new RangeDecoder(Uint8Array.from(/`([0-9A-F ]+)`/.exec(example)[1].split(" "), (x) => parseInt(x, 16)), 0);
  const signs = distributionOf([2 ** 22, 2 ** 23, 2 ** 22], -1);
  const raw = distributionOf(new Array(512).fill(2 ** 15), 0);
  const found = [signs, signs, signs, raw, raw, raw, raw].map(({ before }) => decoder.next(before));
  const rows = [...example.matchAll(/^\| ([0-9A-F]+): /gm)].map(([, symbol]) => parseInt(symbol, 16));
  assert.deepEqual(found, rows);
});

test("a file gives the same parts in whatever pieces it comes", () => {
  for (const size of [1, 7, 100, file.length]) {
    const incoming = new Incoming();
    const segments = [];
    for (let at = 0; at < file.length; at += size) {
      incoming.push(file.subarray(at, at + size));
      for (let next = incoming.nextSegment(); next; next = incoming.nextSegment()) segments.push(next);
    }
    incoming.end();
    assert.equal(segments.length, 10);
    assert.equal(incoming.consumed, file.length);
  }
});

test("a file that ends early or is damaged says so", () => {
  const cases = [
    [new Uint8Array(), /it is empty/],
    [Uint8Array.of(1, 2, 3), /not a \.cdr file/],
    [file.subarray(0, 20), /ends inside its header/],
    [file.subarray(0, file.length - 5), /ends inside step/],
    [withBytes({ 4: 5 }), /format version 5/],
    [withBytes({ 14: 0, 15: 0 }), /makes no sense/],
    [withBytes({ 26: 0 }), /makes no sense/],
    [withBytes({ 13: 4 }), /makes no sense/],
    [Uint8Array.from([...file, 0]), /bytes behind/],
    [file.map((byte, i) => (i === 60 ? byte ^ 1 : byte)), /checksum/],
    [file.map((byte, i) => (i === 20 ? byte ^ 1 : byte)), /header is damaged/],
  ];
  for (const [bytes, message] of cases) {
    assert.throws(
      () => {
        const incoming = new Incoming();
        incoming.push(bytes);
        while (incoming.nextSegment());
        incoming.end();
      },
      (error) => error instanceof CdrError && message.test(error.message),
    );
  }
});

test("a header that asks for too much is refused before any room is taken", async () => {
  const model = await photoModel();
  const hostile = withBytes({ 14: 255, 15: 255, 16: 255, 17: 255 });
  const incoming = new Incoming();
  incoming.push(hostile.subarray(0, 32));
  const before = process.memoryUsage().arrayBuffers;
  await assert.rejects(decodeBytes(model, undefined, hostile), /65535x65535 pixels/);
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
});

test("a file of another model is refused", async () => {
  await assert.rejects(decodeBytes(await photoModel(), undefined, withBytes({ 6: 1 })), TruncatedError);
  const other = new Uint8Array(readFileSync(join(ROOT, "tests", "data", "tiny-19x33.cdr")));
  await assert.rejects(decodeBytes(await photoModel(), undefined, other), /it needs the model/);
});

test("a damaged model file is refused, and one with other numbers has another fingerprint", async () => {
  const bytes = new Uint8Array(readFileSync(join(ROOT, "tests", "data", "tiny.safetensors")));
  const before = (await Model.read(bytes)).fingerprint;
  for (const length of [0, 7, 100, bytes.length - 1]) await assert.rejects(Model.read(bytes.subarray(0, length)), ModelError);
  for (let at = 8; at < 4000; at += 97) {
    const changed = bytes.map((byte, i) => (i === at ? byte ^ 5 : byte));
    try {
      assert.notEqual((await Model.read(changed)).fingerprint, before);
    } catch (error) {
      assert.ok(error instanceof ModelError, error);
    }
  }
});

test("a convolution whose sums could go beyond 2^24 is refused", async () => {
  const one = { outputs: 1, inputs: 1, kernel: 1, weight: Int8Array.of(63), factor: Float32Array.of(1), reach: Float64Array.of(255 * 63) };
  const seen = [{ bytes: { height: 1, width: 1, channels: 1, data: Uint8Array.of(255) }, outside: 0 }];
  const run = async (bias) => (await convolver()).run(one, seen, Int32Array.of(bias));
  assert.equal((await run(2 ** 24 - 1 - 255 * 63)).data[0], 255);
  for (const bias of [2 ** 24 - 255 * 63, 255 * 63 - 2 ** 24]) await assert.rejects(run(bias), /beyond 2\^24/);
});

test("a cut file is that of the Python package", () => {
  for (const [name, budget] of Object.entries({ "steps-03": { steps: 3 }, "steps-07": { steps: 7 } })) {
    const expected = conformanceSet().find((each) => each.name === name).file;
    assert.deepEqual(truncate(conformanceSet().find((each) => each.name === "steps-25").file, budget), expected);
  }
  assert.equal(truncate(file, { size: 100 }).length, 100);
  assert.throws(() => truncate(file, { size: 30 }), /cannot be cut/);
  assert.throws(() => truncate(file, { steps: 11 }), /it stores 10 whole steps/);
});

test("a cut file is decoded as far as it goes", async () => {
  const [model, convolve] = [await photoModel(), await convolver()];
  const { width } = await decodeBytes(model, convolve, truncate(file, { size: 100 }));
  assert.equal(width, parseHeader(file).width);
});

test("kernels that do not add exactly are passed over", async () => {
  const right = await runtime(1);
  let made = 0;
  const load = async () => ({
    Tensor: right.Tensor,
    InferenceSession: {
      async create(...given) {
        const session = await right.InferenceSession.create(...given);
        if (made++) return session;
        const off = async (...x) => {
          const { y } = await session.run(...x);
          y.data[0] ^= 1;
          return { y };
        };
        return { run: off, release: () => session.release() };
      },
    },
  });
  assert.equal((await Convolver.fastest(load, ["int8", "float32"])).path, "float32");
  assert.equal((await Convolver.fastest(() => Promise.reject(new Error("not there")))).path, "simd");
  await assert.rejects(Convolver.fastest(() => Promise.reject(new Error("not there")), ["int8"]), /adds whole numbers/);
});

test("a box calls for as many bytes as its share of the pixels", () => {
  const header = { width: 768, height: 512 };
  assert.equal(budgetOf(192 * 128, undefined, undefined), 2048);
  assert.equal(budgetOf(192 * 128, header, 160032), 10032);
  assert.equal(budgetOf(192 * 128, header, 1000), 2048);
  assert.equal(budgetOf(768 * 512, header, 160000), Infinity);
  assert.equal(budgetOf(192 * 128, header, undefined), 6176);
  assert.equal(budgetOf(192 * 128, header, 210000, 50000), 60000);
  assert.equal(budgetOf(192 * 128, { ...header, webp: true, steps: 0 }, 160000), Infinity);
});
