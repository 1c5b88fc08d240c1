/** A server for the tests: ranges, a log, and what goes wrong on a line. */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
  ".wasm": "application/wasm",
  ".json": "application/json",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".svg": "image/svg+xml",
  ".cdr": "image/x-cdr",
};
const TICK = 20; // milliseconds between pieces on a slow line

/**
 * Serves folders by their prefix. Query: rate=BYTES a second, cut=BYTES after which the line breaks, plain to know no
 * ranges. isolated: with the headers that threads need.
 */
export class TestServer {
  /** Of each request: path, range and how many bytes were sent. */
  log = [];
  #server;

  constructor(folders, isolated = true) {
    this.#server = createServer((request, response) => this.#answer(request, response, folders, isolated));
  }

  async start() {
    await new Promise((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Bytes that were sent of a path. */
  sent(path) {
    return this.log.filter((entry) => entry.path === path).reduce((sum, entry) => sum + entry.sent, 0);
  }

  #answer(request, response, folders, isolated) {
    const url = new URL(request.url, "http://localhost");
    const prefix = Object.keys(folders).find((name) => url.pathname.startsWith(name));
    let body;
    try {
      const content = folders[prefix];
      body = Buffer.isBuffer(content) ? content : readFileSync(join(content, normalize(url.pathname.slice(prefix.length))));
    } catch {
      response.writeHead(404).end();
      return;
    }
    const headers = { "Content-Type": TYPES[extname(url.pathname)] ?? "application/octet-stream" };
    headers["Cache-Control"] = url.pathname.startsWith("/dist/") ? "max-age=3600" : "no-store";
    if (isolated) headers["Cross-Origin-Opener-Policy"] = "same-origin";
    if (isolated) headers["Cross-Origin-Embedder-Policy"] = "require-corp";
    const range = url.searchParams.has("plain") ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    let part = body;
    if (range) {
      const last = range[2] ? Math.min(Number(range[2]), body.length - 1) : body.length - 1;
      part = body.subarray(Number(range[1]), last + 1);
      headers["Content-Range"] = `bytes ${range[1]}-${last}/${body.length}`;
    }
    headers["Content-Length"] = part.length;
    response.writeHead(range ? 206 : 200, headers);
    const entry = { path: url.pathname, range: range?.[0], sent: 0 };
    this.log.push(entry);
    this.#send(response, part, url.searchParams, entry);
  }

  async #send(response, part, query, entry) {
    const [rate, cut] = [Number(query.get("rate")), Number(query.get("cut") ?? Infinity)];
    const piece = rate ? Math.max(1, Math.round((rate * TICK) / 1000)) : 2 ** 16;
    for (let at = 0; at < part.length && !response.destroyed; at += piece) {
      if (entry.sent >= cut) {
        response.destroy();
        return;
      }
      const sent = part.subarray(at, Math.min(at + piece, part.length, cut));
      entry.sent += sent.length;
      if (!response.write(sent)) await drained(response);
      if (rate) await new Promise((resolve) => setTimeout(resolve, TICK));
    }
    response.end();
  }
}

/** Waits until a response takes more, or is over. */
function drained(response) {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}
