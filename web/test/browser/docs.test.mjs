/** The page in docs/browser.md runs when it is pasted. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT, WEB, missing, started } from "./chromium.mjs";

const PAGE = /```html\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, "docs", "browser.md"), "utf8"))[1];

test("the page in the documentation shows a picture", { skip: missing }, async () => {
  const photo = readFileSync(join(ROOT, "tests", "data", "photo-kodim17.cdr"));
  const machine = await started({ "/page.html": PAGE, "/photo.cdr": photo }, false, { "/cdraw/": join(WEB, "dist") });
  try {
    const page = await machine.browser.newPage();
    await page.goto(`${machine.base}/page.html`);
    await page.waitForFunction(() => document.querySelector("cdraw-img").complete, { timeout: 60000 });
    const size = await page.$eval("cdraw-img", (image) => [image.naturalWidth, image.naturalHeight, image.clientHeight]);
    assert.deepEqual(size, [512, 768, 768]);
  } finally {
    await machine.stop();
  }
});
