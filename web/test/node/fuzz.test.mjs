/** A few of the inputs of `node test/node/fuzz.mjs`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "./fuzz.mjs";

test("damaged and hostile files give a picture or a sentence", async () => {
  assert.ok((await fuzz(300, 5)) > 0);
});
