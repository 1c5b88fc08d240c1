/** How a page in Chromium gets the models of its files. */

import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { BLANK, ROOT, missing, pageWith, started } from "./chromium.mjs";

const [TINY, PHOTO] = ["/data/tiny-19x33.cdr", "/conformance/size-64x64.cdr"];

/** In the page: width of each file, or what is wrong with it. Each group is decoded at once. */
async function widths(groups) {
  const { configure, decode } = await import("/dist/index.js");
  configure({ model: "/models/model.safetensors" });
  const found = [];
  for (const group of groups) {
    found.push(...(await Promise.all(group.map((url) => decode(url).then(({ width }) => width, ({ message }) => message)))));
  }
  return found;
}

test("a model is fetched once, anew for a file of another one, and only the last is kept", { skip: missing }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "cdraw-"));
  const put = (path) => copyFileSync(join(ROOT, path), join(folder, "model.safetensors"));
  const machine = await started(BLANK, true, { "/models/": folder });
  const visit = async (...groups) => {
    machine.server.log = [];
    const page = await pageWith(machine);
    const found = await page.evaluate(widths, groups);
    const copies = await page.evaluate(async () => (await (await caches.open("cdraw-models")).keys()).length);
    await page.close();
    assert.equal(copies, 1);
    return [found, machine.server.log.filter(({ path }) => path.startsWith("/models/")).length];
  };
  try {
    put("tests/data/tiny.safetensors");
    assert.deepEqual(await visit([TINY]), [[33], 1]);
    assert.deepEqual(await visit([TINY], [TINY]), [[33, 33], 0]);
    put("convdraw_codec/models/photo.safetensors");
    assert.deepEqual(await visit([TINY], [PHOTO, PHOTO], [TINY]), [[33, 64, 64, 33], 1]);
    assert.deepEqual(await visit([PHOTO]), [[64], 0]);
    const [found, fetched] = await visit([PHOTO], [TINY, TINY, PHOTO], [TINY, PHOTO]);
    assert.deepEqual([found[0], found[3], found[5], fetched], [64, 64, 64, 1]);
    for (const i of [1, 2, 4]) assert.match(found[i], /it needs the model/);
  } finally {
    await machine.stop();
    rmSync(folder, { recursive: true });
  }
});
