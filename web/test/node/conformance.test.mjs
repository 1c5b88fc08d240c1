/** Every file of the conformance set gives the pixels of the Python decoder, by every kernel. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeBytes, parseHeader } from "../../dist/core.js";
import { conformanceSet, convolver, digest, photoModel } from "./machine.mjs";

const SEED = 7n; // of samples of the prior, as in convdraw_codec/selftest.py

for (const [path, threads] of [["simd", 1], ["int8", 2], ["float32", 1]]) {
  test(`all pixels are those of the Python decoder, by ${path} on ${threads} threads`, async (context) => {
    const [model, convolve] = [await photoModel(), await convolver(threads, [path])];
    assert.equal(convolve.path, path);
    for (const { name, file, expected } of conformanceSet()) {
      await context.test(name, async () => {
        for (const [fill, hash] of Object.entries(expected)) {
          const pixels = await decodeBytes(model, convolve, file, { fill, seed: SEED });
          assert.equal(digest(pixels, parseHeader(file).mode), hash, fill);
        }
      });
    }
  });
}

