/** Every file of the conformance set gives the pixels of the Python decoder in browsers, with threads and without. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DIGESTS } from "../digests.mjs";
import { BLANK, WEB, missing, missingFirefox, pageWith, started } from "./chromium.mjs";

const LARGE = "/data/photo-kodim23.cdr"; // enough for threads to start

/** In the page: begin to decode a picture. */
async function start(url) {
  const { decode } = await import("/dist/index.js");
  await decode(url, { maxBytes: 2048 });
}

/** In the page: digests of the pictures in a file, as `cdraw selftest` hashes them. */
async function digests(name, fills) {
  const [{ decode, inspect }, { Sha256 }] = await Promise.all([import("/dist/index.js"), import("/dist/core.js")]);
  const result = {};
  const { mode } = await inspect(`/conformance/${name}.cdr`);
  const bands = { RGB: [0, 1, 2], L: [0], RGBA: [0, 1, 2, 3], LA: [0, 3] }[mode];
  for (const fill of fills) {
    const { data, width, height } = await decode(`/conformance/${name}.cdr`, { fill, seed: 7n });
    const bytes = new Uint8Array(width * height * bands.length);
    for (let i = 0, to = 0; i < data.length; i += 4) for (const band of bands) bytes[to++] = data[i + band];
    const head = new TextEncoder().encode(`${mode} (${width}, ${height})`);
    result[fill] = new Sha256().update(head).update(bytes).digest();
  }
  return result;
}

for (const [browser, skip] of [["chrome", missing], ["firefox", missingFirefox]]) {
  for (const isolated of [true, false]) {
    const where = `in ${browser} ${isolated ? "on threads" : "without threads"}`;
    test(`all pixels are those of the Python decoder, ${where}`, { skip }, async () => {
      const machine = await started(BLANK, isolated, {}, browser);
      try {
        const page = await pageWith(machine);
        assert.equal(await page.evaluate(() => crossOriginIsolated), isolated);
        await page.evaluate(start, LARGE);
        assert.equal(machine.server.sent("/dist/thread.js") > 0, isolated);
        for (const [name, expected] of Object.entries(DIGESTS)) {
          assert.deepEqual(await page.evaluate(digests, name, Object.keys(expected)), expected, name);
        }
      } finally {
        await machine.stop();
      }
    });
  }
}

test("where the own kernel is not exact, ONNX Runtime gives the same pixels", { skip: missing }, async () => {
  const [NEAREST, TRUNC] = [",253,106,", ",253,105,"]; // in the bytes of simd.wat
  const worker = readFileSync(join(WEB, "dist", "worker.js"), "utf8");
  assert.ok(worker.includes(NEAREST));
  const machine = await started({ ...BLANK, "/wrong/worker.js": worker.replaceAll(NEAREST, TRUNC) }, false);
  try {
    const page = await pageWith(machine);
    await page.evaluate(async () => (await import("/dist/index.js")).configure({ worker: "/wrong/worker.js" }));
    const [name] = Object.keys(DIGESTS);
    assert.deepEqual(await page.evaluate(digests, name, Object.keys(DIGESTS[name])), DIGESTS[name]);
    assert.ok(machine.server.sent("/dist/runtime/ort-wasm-simd-threaded.wasm") > 0);
  } finally {
    await machine.stop();
  }
});
