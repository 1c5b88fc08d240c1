/** The page's end of the worker, which all pictures of a page share. */

import { CdrError, ModelError } from "../format/errors.js";
import type { FromWorker, Request, Setup, Shown, ToWorker, Waiting } from "./protocol.js";

/** Where a page finds the decoder's parts; each is that beside this module unless it is given. */
export interface Configuration {
  /** URL of the model file, photo.safetensors. */
  readonly model?: string | URL;
  /** URL of the folder with ONNX Runtime's ort.wasm.min.mjs, ort-wasm-simd-threaded.mjs and .wasm. */
  readonly runtime?: string | URL;
  /** URL of worker.js; of the same origin as the page. */
  readonly worker?: string | URL;
  /** Threads, where the page is isolated: one a core, up to four, unless it is given. */
  readonly threads?: number;
}

/** What the worker says of one picture. */
export interface Listener {
  picture(shown: Shown): void;
  /** It shows all that came, and waits for more. */
  waiting?(waiting: Waiting): void;
  done(): void;
  failed(error: Error): void;
}

let configuration: Configuration = {};
let worker: Worker | undefined;
let count = 0;
const listeners = new Map<number, Listener>();

/** Say where the decoder's parts are. Call it before the first picture; later calls throw. */
export function configure(given: Configuration): void {
  if (worker) throw new Error("configure cdraw before its first picture");
  configuration = { ...configuration, ...given };
}

/** Start the worker, and load runtime and model, before the first picture needs them. */
export function prepare(): void {
  try {
    start();
  } catch {
    // the first picture tries again, and says why it fails
  }
}

function start(): void {
  if (worker) return;
  const base = new URL(".", import.meta.url);
  const place = (given: string | URL | undefined, name: string) =>
    given === undefined ? new URL(name, base).href : new URL(given, document.baseURI).href;
  const started = new Worker(place(configuration.worker, "worker.js"), { type: "module", name: "cdraw" });
  worker = started;
  const setup: Setup = {
    model: place(configuration.model, "photo.safetensors"),
    runtime: place(configuration.runtime, "runtime/"),
    threads: configuration.threads,
  };
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => receive(data);
  worker.onerror = ({ message }) => {
    started.terminate();
    if (worker === started) worker = undefined; // a later picture starts another one
    for (const id of [...listeners.keys()]) fail(id, message || "it cannot be started: is worker.js there?");
  };
  worker.postMessage({ kind: "setup", setup } satisfies ToWorker);
}

function fail(id: number, why: string): void {
  receive({ kind: "error", id, name: "Error", message: `the worker of cdraw failed: ${why}` });
}

function receive(message: FromWorker): void {
  const listener = listeners.get(message.id);
  if (!listener) return;
  if (message.kind === "picture") listener.picture(message.shown);
  if (message.kind === "waiting") listener.waiting?.(message.waiting);
  if (message.kind === "done" || message.kind === "error") listeners.delete(message.id);
  if (message.kind === "done") listener.done();
  if (message.kind === "error") {
    listener.failed(errorOf(message.name, message.message));
  }
}

/** What the worker reported, of the class that its name says. */
function errorOf(name: string, message: string): Error {
  if (name === "ModelError") return new ModelError(message);
  const error = name === "CdrError" || name === "TruncatedError" ? new CdrError(message) : new Error(message);
  error.name = name;
  return error;
}

/** One picture in the worker. */
export class Remote {
  private readonly id = count++;

  constructor(request: Request, listener: Listener) {
    listeners.set(this.id, listener);
    try {
      start();
    } catch (error) {
      queueMicrotask(() => fail(this.id, (error as Error).message));
      return;
    }
    this.post({ kind: "open", id: this.id, request });
  }

  /** Give it bytes, which the page no longer has then. */
  push(bytes: Uint8Array): void {
    const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
    this.post({ kind: "bytes", id: this.id, bytes: own }, [own.buffer as ArrayBuffer]);
  }

  /** Say that no more bytes will come. */
  end(): void {
    this.post({ kind: "end", id: this.id });
  }

  /** Give it up. */
  close(): void {
    listeners.delete(this.id);
    this.post({ kind: "close", id: this.id });
  }

  private post(message: ToWorker, transfer: Transferable[] = []): void {
    worker?.postMessage(message, transfer);
  }
}
