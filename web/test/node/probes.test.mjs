/** The kernel of this package is not used where a machine's WebAssembly computes anything of it wrongly. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { convolver } from "./machine.mjs";

/** Instructions of simd.wat, as bytes behind 0xfd, and others in their place. */
const WRONG = {
  "bytes with signs": [[0x02], [0x01]],
  "products in place of sums of products": [[0xba, 0x01], [0xb5, 0x01]],
  "differences in place of sums": [[0xae, 0x01], [0xb1, 0x01]],
  "16-bit sums": [[0xae, 0x01], [0x8e, 0x01]],
  "sums without signs": [[0xfa, 0x01], [0xfb, 0x01]],
  "quotients in place of products": [[0xe6, 0x01], [0xe7, 0x01]],
  "the lower limit as an upper one": [[0xe9, 0x01], [0xe8, 0x01]],
  "the upper limit as a lower one": [[0xe8, 0x01], [0xe9, 0x01]],
  "rounding to zero": [[0x6a], [0x69]],
  "rounding down": [[0x6a], [0x68]],
  "rounding up": [[0x6a], [0x67]],
  "bytes that end at 127": [[0x66], [0x65]],
};

/** Arguments of `tile`, changed. */
const ARGUMENTS = ["x", "across", "down", "rows", "pairs", "weights", "bias", "factor", "y", "wide"];

/** Runs with a WebAssembly that makes other code. */
async function instead(name, other, run) {
  const right = WebAssembly[name];
  WebAssembly[name] = other(right);
  try {
    await run();
  } finally {
    WebAssembly[name] = right;
  }
}

function changed(code, from, to) {
  const bytes = Uint8Array.from(code);
  let count = 0;
  for (let at = 0; at + from.length < bytes.length; at++) {
    if (bytes[at] === 0xfd && from.every((byte, i) => bytes[at + 1 + i] === byte)) {
      bytes.set(to, at + 1);
      count++;
    }
  }
  assert.ok(count && WebAssembly.validate(bytes), "there is no such instruction");
  return bytes;
}

test("the right kernel is used", async () => assert.equal((await convolver(1, ["simd"])).path, "simd"));

for (const [name, [from, to]] of Object.entries(WRONG)) {
  test(name, () =>
    instead(
      "Module",
      (Right) => function (code) { return new Right(changed(code, from, to)); },
      () => assert.rejects(convolver(1, ["simd"]), /adds whole numbers exactly/),
    ));
}

ARGUMENTS.forEach((name, i) => {
  const step = ["rows", "pairs"].includes(name) ? -1 : ["x", "across", "down"].includes(name) ? 2 : 8;
  test(`another ${name}`, () =>
    instead(
      "Instance",
      (Right) =>
        function (...args) {
          const { widen, tile } = new Right(...args).exports;
          const wrong = (...given) => given[i] + step > 0 && tile(...given.with(i, given[i] + step));
          return { exports: { widen, tile: wrong } };
        },
      () => assert.rejects(convolver(1, ["simd"]), /adds whole numbers exactly/),
    ));
});
