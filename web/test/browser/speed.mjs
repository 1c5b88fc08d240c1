/**
 * How soon a picture of 768x512 is there, and how long the page is held up: `node test/browser/speed.mjs [RUNS]`.
 *
 * The model was cached by a page before, and the page calls `prepare()` as it opens. Bytes come at once; the time of the
 * first preview counts from the answer with the first 2 KB.
 */

import { BLANK, eventsUntil, pageWith, started } from "./chromium.mjs";

const RUNS = Number(process.argv[2] ?? 5);
const FILE = "/data/photo-kodim23.cdr";
const BPP = 0.25; // bits per pixel at which a picture is timed
const BYTES = (BPP * 768 * 512) / 8;

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

const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)];

for (const isolated of [true, false]) {
  const machine = await started(BLANK, isolated);
  try {
    const warm = await pageWith(machine, `<cdraw-img src="${FILE}"></cdraw-img>`);
    await eventsUntil(warm, "load");
    await warm.close();
    const [found, tasks, cold] = [[], [], []];
    for (let run = 0; run < RUNS; run++) {
      const page = await pageWith(machine);
      found.push(await page.evaluate(timed, FILE, BYTES));
      tasks.push(...(await page.evaluate(() => window.longTasks)));
      await page.close();
      const other = await pageWith(machine, `<cdraw-img src="${FILE}"></cdraw-img>`);
      const events = await eventsUntil(other, "load");
      cold.push(events.find(({ type }) => type === "progress").at);
      tasks.push(...(await other.evaluate(() => window.longTasks)));
      await other.close();
    }
    const said = ["preview", "first", "quarter"].map((name) => `${name} ${median(found.map((each) => each[name])).toFixed(0)} ms`);
    console.log(
      `${isolated ? "threads" : "one thread"}: ${said.join(", ")}; preview in a page that has just opened ` +
        `${median(cold).toFixed(0)} ms; longest task ${tasks.length ? Math.max(...tasks).toFixed(0) : "under 50"} ms`,
    );
  } finally {
    await machine.stop();
  }
}
