/**
 * How soon a picture of 768x512 is there, and how long the page is held up: `node test/browser/speed.mjs [RUNS]`.
 *
 * The model was cached by a page before. Bytes come at once; the time of the first preview counts from the answer with the
 * first 2 KB: in a page that called `prepare()` as it opened, and in one that has just opened.
 */

import { BLANK, pageWith, started } from "./chromium.mjs";

const RUNS = Number(process.argv[2] ?? 5);
const FILE = "/data/photo-kodim23.cdr";
const BPP = 0.25; // bits per pixel at which a picture is timed
const BYTES = (BPP * 768 * 512) / 8;
const PAGE = `<!doctype html>
<meta charset="utf-8" />
<script>
  window.longTasks = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.longTasks.push(duration);
  }).observe({ type: "longtask" });
  window.at = {};
  for (const type of ["progress", "load"]) {
    const note = ({ target }) => target.localName === "cdraw-img" && (window.at[type] ??= performance.now());
    document.addEventListener(type, note, true); // scripts load as well
  }
</script>
<script type="module" src="/dist/element.js"></script>
<cdraw-img src="${FILE}"></cdraw-img>`;

/** In the page: when the answer with the first bytes came, and when the preview and the picture at that rate did. */
async function timed(file, bytes) {
  const { decode, prepare } = await import("/dist/index.js");
  prepare();
  await new Promise((resolve) => setTimeout(resolve, 1500)); // runtime and model are there
  const body = new Uint8Array(await (await fetch(file)).arrayBuffer());
  const times = [];
  const start = performance.now();
  await decode(body.slice(0, 2048), { maxBytes: 2048, onProgress: ({ preview }) => times.push([preview, performance.now() - start]) });
  const again = performance.now();
  await decode(body, { maxBytes: bytes });
  return { preview: times[0][1], first: times.find(([preview]) => !preview)[1], quarter: performance.now() - again };
}

/** Opens a page with a picture. Of its first preview: milliseconds since the first bytes, and since it began to open. */
async function opened({ browser, base }) {
  const page = await browser.newPage();
  await page.goto(`${base}/open.html`);
  await page.waitForFunction(() => window.at.load);
  const found = await page.evaluate(() => {
    const answers = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".cdr"));
    const { progress } = window.at;
    return { bytes: progress - answers[0].responseEnd, opening: progress, tasks: window.longTasks };
  });
  await page.close();
  return found;
}

const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];

for (const isolated of [true, false]) {
  const machine = await started({ ...BLANK, "/open.html": PAGE }, isolated);
  try {
    await opened(machine); // the model is cached now
    const [found, tasks, cold] = [[], [], []];
    for (let run = 0; run < RUNS; run++) {
      const page = await pageWith(machine);
      found.push(await page.evaluate(timed, FILE, BYTES));
      tasks.push(...(await page.evaluate(() => window.longTasks)));
      await page.close();
      cold.push(await opened(machine));
      tasks.push(...cold[run].tasks);
    }
    const said = ["preview", "first", "quarter"].map((name) => `${name} ${median(found.map((each) => each[name])).toFixed(0)} ms`);
    const [bytes, opening] = ["bytes", "opening"].map((name) => median(cold.map((each) => each[name])).toFixed(0));
    console.log(
      `${isolated ? "threads" : "one thread"}: ${said.join(", ")}; in a page that has just opened: preview ${bytes} ms, ` +
        `${opening} ms since it began to; longest task ${tasks.length ? Math.max(...tasks).toFixed(0) : "under 50"} ms`,
    );
  } finally {
    await machine.stop();
  }
}
