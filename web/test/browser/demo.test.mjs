/** The demo page in Chromium, at phone and desktop width, light and dark; and its pictures for the documentation. */

import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ROOT, WEB, missing, started } from "./chromium.mjs";

const SHOTS = join(WEB, "demo", "built", "shots");
const DOCUMENTED = ["desktop-light", "phone-dark-line"]; // `DOCS=1 npm run test:browser` copies these to docs/
const built = existsSync(join(WEB, "demo", "built", "index.html"));
const SIZES = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};

describe("the demo page", { skip: missing || (!built && "there is no demo: run npm run demo") }, () => {
  let machine;
  before(async () => {
    machine = await started();
    mkdirSync(SHOTS, { recursive: true });
  });
  after(() => machine?.stop());

  async function opened(size, scheme) {
    const page = await machine.browser.newPage();
    page.errors = [];
    page.on("pageerror", (error) => page.errors.push(error));
    await page.setViewport(SIZES[size]);
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.goto(`${machine.base}/demo/index.html`);
    return page;
  }

  async function shoot(page, name) {
    const path = join(SHOTS, `${name}.webp`);
    await page.screenshot({ path, quality: 80 });
    if (process.env.DOCS && DOCUMENTED.includes(name)) copyFileSync(path, join(ROOT, "docs", `browser-${name}.webp`));
  }

  for (const [size, scheme] of [["desktop", "light"], ["desktop", "dark"], ["phone", "dark"], ["phone", "light"]]) {
    test(`${size}, ${scheme}`, async () => {
      const page = await opened(size, scheme);
      await page.waitForFunction(() => /cuts, all from/.test(document.querySelector("#state").textContent), { timeout: 120000 });
      await page.$eval("#slider", (slider) => {
        slider.value = "12";
        slider.dispatchEvent(new Event("input"));
      });
      assert.match(await page.$eval("#step", ({ textContent }) => textContent), /^13 of 25$/);
      assert.match(await page.$eval("#psnr", ({ textContent }) => textContent), /^\d\d\.\d dB$/);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is too wide");
      await shoot(page, `${size}-${scheme}`);
      await page.evaluate(() => {
        document.querySelector("#rate").value = "15000";
        document.querySelector("#line").scrollIntoView({ behavior: "instant" });
        document.querySelector("#again").click();
      });
      await page.waitForFunction(
        () => /step (9|1\d|2\d)/.test(document.querySelector("figcaption span:last-child").textContent),
        { timeout: 60000 },
      );
      await shoot(page, `${size}-${scheme}-line`);
      const input = await page.$("#file");
      await input.uploadFile(join(WEB, "demo", "built", "pictures", "statue.cdr"));
      await page.waitForFunction(() => document.querySelector("#dropped").width === 512, { timeout: 60000 });
      assert.match(await page.$eval("#said", ({ textContent }) => textContent), /512 × 768, RGB, 25 steps/);
      await page.evaluate(() => document.querySelector("#own").scrollIntoView({ behavior: "instant" }));
      await shoot(page, `${size}-${scheme}-own`);
      assert.deepEqual(page.errors, []);
      await page.close();
    });
  }
});
