/** What the tests in Chromium share: the browser, a server, and pages. */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";
import { TestServer } from "./server.mjs";

export const WEB = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const ROOT = join(WEB, "..");
const PLACES = {
  chrome: [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
  firefox: [process.env.FIREFOX, "/usr/bin/firefox", "/usr/bin/firefox-esr"],
};
const FOLDERS = {
  "/dist/": join(WEB, "dist"),
  "/conformance/": join(ROOT, "convdraw_codec", "conformance"),
  "/data/": join(ROOT, "tests", "data"),
  "/demo/": join(WEB, "demo", "built"),
};

function place(name) {
  return PLACES[name].find((path) => path && existsSync(path));
}

/** Why tests cannot run here; false if they can. */
function lacks(name, variable) {
  if (!place(name)) return `there is no ${variable.toLowerCase()}: set ${variable} to its path`;
  return !existsSync(join(WEB, "dist", "worker.js")) && "there is no build: run npm run build";
}

export const missing = lacks("chrome", "CHROMIUM");
export const missingFirefox = lacks("firefox", "FIREFOX");

/** A browser and a server with these extra files and folders, for the tests of a file. isolated: as threads need it. */
export async function started(files = {}, isolated = true, folders = {}, name = "chrome") {
  const contents = Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]);
  const server = new TestServer({ ...Object.fromEntries(contents), ...FOLDERS, ...folders }, isolated);
  const base = await server.start();
  const args = name === "chrome" ? ["--no-sandbox", "--force-color-profile=srgb"] : [];
  const browser = await puppeteer.launch({ browser: name, executablePath: place(name), args });
  const stop = async () => {
    await browser.close();
    server.stop();
  };
  return { browser, server, base, stop };
}

/** A page of that HTML body, with the element defined. */
export async function pageWith({ browser, base }, body = "", viewport = { width: 1000, height: 800 }) {
  const page = await browser.newPage();
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(error));
  await page.setViewport(viewport);
  await page.goto(`${base}/blank.html`);
  await page.evaluate(async (html) => {
    window.events = [];
    for (const type of ["progress", "load", "error"]) {
      document.addEventListener(
        type,
        ({ target, detail }) => {
          if (target.localName !== "cdraw-img") return;
          window.events.push({ type, id: target.id, at: performance.now(), message: detail?.message, ...detail });
        },
        true,
      );
    }
    window.longTasks = [];
    if (PerformanceObserver.supportedEntryTypes.includes("longtask")) {
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.longTasks.push(entry.duration);
      }).observe({ type: "longtask" });
    }
    document.body.innerHTML = html;
    await import("/dist/element.js");
  }, body);
  return page;
}

export const BLANK = { "/blank.html": "<!doctype html><meta charset=utf-8><title>test</title><body></body>" };

/** Waits for an event of the elements on a page, and gives all events so far. */
export async function eventsUntil(page, type, id = "", timeout = 60000) {
  await page.waitForFunction(
    (type, id) => window.events.some((event) => event.type === type && (!id || event.id === id)),
    { timeout },
    type,
    id,
  );
  return page.evaluate(() => window.events);
}
