/** The element `<cdraw-img>` in Chromium. */

import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { withChunk } from "../node/containers.mjs";
import { BLANK, ROOT, eventsUntil, missing, pageWith, started } from "./chromium.mjs";

const PHOTO = "/data/photo-kodim23.cdr";
const CONFORMANCE = join(ROOT, "convdraw_codec", "conformance");
const WHOLE = statSync(join(ROOT, "tests", PHOTO)).size;
const damaged = readFileSync(join(CONFORMANCE, "steps-10.cdr"));
damaged[damaged.length - 20] ^= 1;
const otherModel = readFileSync(join(ROOT, "tests", "data", "tiny-19x33.cdr"));

const large = withChunk(readFileSync(join(CONFORMANCE, "size-300x200.cdr")), "EXIF", Buffer.alloc(30000, 77));
const webp = withChunk(readFileSync(join(CONFORMANCE, "webp-RGBA.cdr")), "EXIF", Buffer.alloc(5000, 77));

const POSTER = '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><rect width="30" height="20"/></svg>';
const POLICY = "default-src 'none'; connect-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
const STRICT = `<!doctype html><meta charset=utf-8><meta http-equiv=Content-Security-Policy content="${POLICY}">
<script type=module src="/dist/element.js"></script><cdraw-img id=a src="/conformance/size-64x64.cdr"></cdraw-img>`;

describe("the element", { skip: missing }, () => {
  let machine;
  before(async () => {
    const files = { "/damaged.cdr": damaged, "/other.cdr": otherModel, "/none.cdr": "no picture" };
    const more = { "/large.cdr": large, "/webp.cdr": webp, "/poster.svg": POSTER, "/strict.html": STRICT };
    machine = await started({ ...BLANK, ...files, ...more });
  });
  after(() => machine?.stop());

  const box = (page, id) =>
    page.$eval(`#${id}`, (element) => {
      const { width, height } = element.getBoundingClientRect();
      return [width, height];
    });

  test("a small box loads a small part of the file", async () => {
    machine.server.log = [];
    const page = await pageWith(machine, `<cdraw-img id=a src="${PHOTO}" style="width: 192px"></cdraw-img>`);
    await eventsUntil(page, "load");
    assert.deepEqual(await box(page, "a"), [192, 128]);
    assert.ok(machine.server.sent(PHOTO) < WHOLE / 10, `${machine.server.sent(PHOTO)} of ${WHOLE}`);
    assert.equal(machine.server.log.find(({ path }) => path === PHOTO).range, "bytes=0-2047");
    await page.close();
  });

  test("a small box loads what there is no picture without", async () => {
    for (const [name, file] of Object.entries({ large, webp })) {
      const page = await pageWith(machine, `<cdraw-img id=a src="/${name}.cdr" style="width: 8px"></cdraw-img>`);
      const events = await eventsUntil(page, "load");
      assert.ok(events.at(-1).steps >= 1, name);
      assert.ok(name === "webp" || events.at(-1).loaded < file.length - 10000, String(events.at(-1).loaded));
      await page.close();
    }
  });

  test("load is told once for each amount that is wanted, when all of it is shown", async () => {
    const small = ' style="width: 192px"';
    for (const [src, style] of [[PHOTO, small], [`${PHOTO}?rate=40000`, small], ["/conformance/size-64x64.cdr", ""]]) {
      const page = await pageWith(machine, `<cdraw-img id=a src="${src}"${style}></cdraw-img>`);
      assert.equal(await page.evaluate(() => document.createElement("cdraw-img").complete), true);
      await eventsUntil(page, "load");
      await new Promise((resolve) => setTimeout(resolve, 500));
      const events = await page.evaluate(() => window.events);
      assert.equal(events.filter(({ type }) => type === "load").length, 1, src);
      assert.equal(events.at(-1).type, "load");
      assert.equal(events.at(-1).preview, false);
      assert.equal(await page.$eval("#a", ({ complete }) => complete), true);
      await page.close();
    }
  });

  test("it loads more as its box grows, and all of it in a box of the picture's size", async () => {
    machine.server.log = [];
    const page = await pageWith(machine, `<cdraw-img id=a src="${PHOTO}" style="width: 192px"></cdraw-img>`);
    await eventsUntil(page, "load");
    await page.$eval("#a", (element) => (element.style.width = ""));
    await page.waitForFunction((total) => window.events.some(({ bytes }) => bytes === total), { timeout: 60000 }, WHOLE);
    assert.deepEqual(await box(page, "a"), [768, 512]);
    assert.equal(machine.server.sent(PHOTO), WHOLE);
    await page.close();
  });

  test("a server that knows no ranges is read no further than is wanted", async () => {
    const src = `${PHOTO}?plain&rate=20000`;
    const page = await pageWith(machine, `<cdraw-img id=a src="${src}" style="width: 192px"></cdraw-img>`);
    const events = await eventsUntil(page, "load");
    assert.ok(events.at(-1).loaded < WHOLE / 10);
    await page.close();
  });

  test("steps arrive one after the other on a slow line, and the page is not held up", async () => {
    const page = await pageWith(machine, `<cdraw-img id=a alt="a parrot" src="${PHOTO}?rate=6000"></cdraw-img>`);
    const events = await eventsUntil(page, "load");
    const steps = events.filter(({ type }) => type === "progress").map((event) => event.steps);
    assert.ok(new Set(steps).size >= 4, String(steps));
    assert.deepEqual(steps, steps.toSorted((a, b) => a - b));
    const longest = Math.max(0, ...(await page.evaluate(() => window.longTasks)));
    assert.ok(longest < 50, `the longest task took ${longest} ms`);
    await page.close();
  });

  test("a lazy picture waits for the viewport, and one that leaves it stops loading", async () => {
    machine.server.log = [];
    const html = `<div style="height: 3000px"></div><cdraw-img id=a loading=lazy src="${PHOTO}?rate=9000"></cdraw-img>`;
    const page = await pageWith(machine, html);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(machine.server.sent(PHOTO), 0);
    await page.evaluate(() => document.querySelector("#a").scrollIntoView());
    await eventsUntil(page, "progress");
    await page.evaluate(() => scrollTo(0, 0));
    await new Promise((resolve) => setTimeout(resolve, 700));
    const then = machine.server.sent(PHOTO);
    assert.ok(then < WHOLE);
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal(machine.server.sent(PHOTO), then);
    await page.evaluate(() => document.querySelector("#a").scrollIntoView());
    const events = await eventsUntil(page, "load");
    assert.equal(events.at(-1).loaded, WHOLE);
    await page.close();
  });

  test("a cut connection leaves the best picture so far, and an error", async () => {
    const page = await pageWith(machine, `<cdraw-img id=a src="${PHOTO}?rate=40000&cut=9000"></cdraw-img>`);
    const events = await eventsUntil(page, "error");
    assert.equal(events.filter(({ type }) => type === "error").length, 1);
    await page.waitForFunction(() => window.events.some(({ steps, preview }) => steps >= 6 && !preview));
    assert.equal(await page.$eval("#a", (element) => element.shadowRoot.querySelector("canvas").width), 768);
    await page.close();
  });

  test("what is wrong with a file is said in an error, and a poster takes its place", async () => {
    const files = { damaged: /damaged \(checksum/, other: /it needs the model/, none: /not a \.cdr file/, missing: /404/ };
    for (const [name, message] of Object.entries(files)) {
      const page = await pageWith(machine, `<cdraw-img id=a src="/${name}.cdr" poster="/data/x.png"></cdraw-img>`);
      const events = await eventsUntil(page, "error");
      assert.match(events.find(({ type }) => type === "error").message, message);
      const shown = await page.$eval("#a", ({ shadowRoot }) => shadowRoot.querySelector("canvas").className !== "empty");
      assert.equal(shown, name === "damaged", name);
      assert.equal(await page.$eval("#a", ({ shadowRoot }) => shadowRoot.querySelector("img").hidden), shown);
      await page.close();
    }
  });

  test("a picture can be taken away and another one set", async () => {
    const page = await pageWith(machine, `<cdraw-img id=a src="${PHOTO}?rate=9000"></cdraw-img>`);
    await eventsUntil(page, "progress");
    await page.$eval("#a", (element) => element.setAttribute("src", "/conformance/size-64x64.cdr"));
    const events = await eventsUntil(page, "load");
    assert.equal(events.at(-1).total, statSync(join(CONFORMANCE, "size-64x64.cdr")).size);
    assert.deepEqual(await box(page, "a"), [64, 64]);
    assert.deepEqual(page.errors, []);
    await page.close();
  });

  test("a server that sends nothing, or other bytes than were asked for, is an error", async () => {
    for (const range of ["bytes 0-2047/9000", "bytes 100-2147/9000"]) {
      const page = await pageWith(machine);
      await page.evaluate((range) => {
        window.asked = 0;
        window.fetch = async () => {
          window.asked++;
          return new Response(new Uint8Array(0), { status: 206, headers: { "Content-Range": range } });
        };
        document.body.innerHTML = "<cdraw-img src=x.cdr></cdraw-img>";
      }, range);
      const events = await eventsUntil(page, "error");
      assert.match(events[0].message, /x\.cdr cannot be loaded \((it ends at 0|the server sent)/);
      assert.equal(await page.evaluate(() => window.asked), 1);
      await page.close();
    }
  });

  test("a worker that cannot be started fails what waits for it, and can be started later", async () => {
    const page = await pageWith(machine);
    const found = await page.evaluate(async () => {
      const { configure, decode, prepare } = await import("/dist/index.js");
      const url = "/conformance/size-64x64.cdr";
      const messages = [];
      for (const worker of ["/missing.js", "https://example.org/worker.js"]) {
        configure({ worker });
        for (const tries of [1, 2]) {
          const both = [decode(url), decode(url)].map((picture) => picture.catch(({ message }) => message));
          messages.push(...(await Promise.all(both)));
        }
        if (worker.startsWith("https")) prepare();
      }
      document.body.innerHTML = `<cdraw-img src="${url}"></cdraw-img>`;
      await new Promise((resolve) => document.body.firstChild.addEventListener("error", resolve));
      configure({ worker: "/dist/worker.js" });
      return [messages, (await decode(url)).width];
    });
    assert.equal(found[0].length, 8);
    for (const message of found[0]) assert.match(message, /the worker of cdraw failed/);
    assert.equal(found[1], 64);
    assert.deepEqual(page.errors, []);
    await page.close();
  });

  test("the reading of a stream ends with the signal or a failure, and the stream keeps its chunks", async () => {
    const page = await pageWith(machine);
    const found = await page.evaluate(async () => {
      const { decode } = await import("/dist/index.js");
      const bytes = new Uint8Array(await (await fetch("/conformance/size-64x64.cdr")).arrayBuffer());
      const cancelled = [];
      const stream = (chunk, name) =>
        new ReadableStream({ start: (to) => to.enqueue(chunk), cancel: () => void cancelled.push(name) });
      const controller = new AbortController();
      const gone = decode(stream(bytes.slice(0, 100), "signal"), { signal: controller.signal }).catch(({ name }) => name);
      setTimeout(() => controller.abort(), 100);
      const bad = decode(stream(new Uint8Array(50), "failure")).catch(({ message }) => message);
      const names = [await gone, await bad];
      await new Promise((resolve) => setTimeout(resolve, 100));
      const whole = new ReadableStream({ start: (to) => (to.enqueue(bytes), to.close()) });
      return [...names, cancelled.sort(), (await decode(whole)).width, bytes.length > 0];
    });
    assert.deepEqual(found, ["AbortError", "it is not a .cdr file", ["failure", "signal"], 64, true]);
    await page.close();
  });

  test("a picture below the viewport gets its box, and loads no more than that takes", async () => {
    machine.server.log = [];
    const html = `<div style="height: 3000px"></div><cdraw-img id=a src="${PHOTO}?rate=9000"></cdraw-img>`;
    const page = await pageWith(machine, html);
    await page.waitForFunction(() => document.querySelector("#a").naturalWidth === 768);
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.deepEqual(await box(page, "a"), [768, 512]);
    assert.ok(machine.server.sent(PHOTO) <= 2048, String(machine.server.sent(PHOTO)));
    await page.evaluate(() => document.querySelector("#a").scrollIntoView());
    assert.equal((await eventsUntil(page, "load")).at(-1).loaded, WHOLE);
    await page.close();
  });

  test("CSS sets a width or a height, or limits them, and the ratio stays", async () => {
    const boxes = { "width: 192px": [192, 128], "height: 100px": [150, 100], "max-height: 128px": [192, 128] };
    boxes["max-width: 96px"] = [96, 64];
    boxes["width: 100px; height: 100px"] = [100, 100];
    for (const [style, expected] of Object.entries(boxes)) {
      const page = await pageWith(machine, `<cdraw-img id=a src="${PHOTO}" style="${style}"></cdraw-img>`);
      await page.waitForFunction(() => document.querySelector("#a").naturalWidth);
      assert.deepEqual((await box(page, "a")).map(Math.round), expected, style);
      await page.close();
    }
  });

  test("a poster takes the place of a picture that is gone, in a box of its own size", async () => {
    const html = `<cdraw-img id=a src="/conformance/size-64x64.cdr" poster="/poster.svg"></cdraw-img>`;
    const page = await pageWith(machine, html);
    await eventsUntil(page, "load");
    const hidden = () =>
      page.$eval("#a", ({ shadowRoot }) => {
        const [poster, canvas] = ["img", "canvas"].map((name) => shadowRoot.querySelector(name));
        return [getComputedStyle(poster).display === "none", getComputedStyle(canvas).display === "none"];
      });
    assert.deepEqual(await hidden(), [true, false]);
    await page.$eval("#a", (element) => element.setAttribute("src", "/missing.cdr"));
    await eventsUntil(page, "error");
    assert.deepEqual(await hidden(), [false, true]);
    assert.deepEqual(await box(page, "a"), [30, 20]);
    await page.$eval("#a", (element) => element.setAttribute("src", "/conformance/size-64x64.cdr"));
    await page.waitForFunction(() => window.events.filter(({ type }) => type === "load").length === 2);
    assert.deepEqual(await hidden(), [true, false]);
    assert.deepEqual(await box(page, "a"), [64, 64]);
    await page.$eval("#a", (element) => element.removeAttribute("src"));
    assert.deepEqual(await hidden(), [false, true]);
    await page.close();
  });

  test("a strict content security policy is no hindrance", async () => {
    const page = await machine.browser.newPage();
    await page.goto(`${machine.base}/strict.html`);
    await page.waitForFunction(() => document.querySelector("#a").complete);
    assert.deepEqual(await box(page, "a"), [64, 64]);
    assert.equal(await page.$eval("#a", (element) => getComputedStyle(element).display), "inline-block");
    await page.close();
  });

  test("decode takes every kind of source, and can be given up", async () => {
    const page = await pageWith(machine);
    const found = await page.evaluate(async () => {
      const { decode, truncate, inspect } = await import("/dist/index.js");
      const url = "/conformance/size-64x64.cdr";
      const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
      const sources = [url, new URL(url, location), await fetch(url), (await fetch(url)).body, new Blob([bytes]), bytes];
      const pictures = [];
      for (const source of sources) pictures.push((await decode(source)).data.join());
      const cut = await truncate(bytes, { size: 300 });
      const controller = new AbortController();
      const gone = decode("/data/photo-kodim23.cdr?rate=5000", { signal: controller.signal }).catch(({ name }) => name);
      controller.abort();
      const best = await decode("/damaged.cdr").catch((error) => error.best?.width);
      return [new Set(pictures).size, cut.length, (await inspect(cut)).cut, (await decode(cut)).width, await gone, best];
    });
    assert.deepEqual(found, [1, 300, true, 64, "AbortError", 45]);
    await page.close();
  });

  test("decode says what is wrong by the classes of its errors", async () => {
    const page = await pageWith(machine);
    const found = await page.evaluate(async () => {
      const { CdrError, DecodeError, ModelError, configure, decode } = await import("/dist/index.js");
      const url = "/conformance/size-64x64.cdr";
      const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
      const failed = (source) => decode(source).catch((error) => error);
      configure({ model: "/missing.safetensors" });
      const errors = [await failed(url), await failed("/missing.cdr"), await failed("/none.cdr")];
      errors.push(await failed("http://127.0.0.1:1/"));
      const classes = errors.map((error) => [CdrError, DecodeError, ModelError].map((each) => error instanceof each));
      return [...classes, errors[1].message.includes("404"), errors[3].name];
    });
    const [no, model, damage] = [[false, false, false], [false, false, true], [true, true, false]];
    assert.deepEqual(found, [model, no, damage, no, true, "TypeError"]);
    await page.close();
  });

  test("bytes behind a picture are an error, and a sample is shown of what there is", async () => {
    const page = await pageWith(machine);
    const found = await page.evaluate(async () => {
      const { decode } = await import("/dist/index.js");
      const url = "/conformance/size-64x64.cdr";
      const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
      const more = await decode(new Blob([bytes, "more"])).catch((error) => error);
      const sample = await decode(url, { fill: "prior", maxBytes: 500 });
      const early = await decode(bytes.subarray(0, 500), { fill: "prior" }).catch((error) => error);
      return [more.message, more.best.width, sample.width, early.best.data.join() === sample.data.join()];
    });
    assert.deepEqual(found, ["it has 4 bytes behind its last step", 64, 64, true]);
    await page.close();
  });
});
