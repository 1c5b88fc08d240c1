/** The worker: everything between bytes and pixels happens here, so that the page never waits. */

import { Convolver } from "../network/convolution.js";
import type { Runtime } from "../network/ort_kernel.js";
import { ModelStore } from "./model_store.js";
import type { FromWorker, Setup, ToWorker } from "./protocol.js";
import { type Machine, Session } from "./session.js";
import { threadPool } from "./threads.js";

const MOST_THREADS = 4; // more do not help with convolutions of this size
const scope = self as unknown as {
  postMessage(message: FromWorker, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
};
const sessions = new Map<number, Session>();
let machine: Machine | undefined;

/** ONNX Runtime, on so many threads. runtime: where its WebAssembly is. */
async function loaded(runtime: string, threads: number): Promise<Runtime> {
  const place = (name: string) => new URL(name, runtime).href;
  const ort = (await import(place("ort.wasm.min.mjs"))) as typeof import("onnxruntime-web/wasm");
  ort.env.wasm.wasmPaths = { mjs: place("ort-wasm-simd-threaded.mjs"), wasm: place("ort-wasm-simd-threaded.wasm") };
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return ort as unknown as Runtime;
}

function started({ model, runtime, threads }: Setup): Machine {
  const cores = threads ?? Math.min(navigator.hardwareConcurrency, MOST_THREADS);
  const used = self.crossOriginIsolated ? cores : 1;
  const pool = used > 1 ? threadPool(used - 1, new URL("thread.js", import.meta.url).href) : undefined;
  const convolver = Convolver.fastest(() => loaded(runtime, used), undefined, pool);
  convolver.catch(() => undefined); // whoever needs it is told
  const store = new ModelStore(model);
  let last: Promise<unknown> = Promise.resolve();
  return {
    convolver: () => convolver,
    model: (fingerprint) => store.get(fingerprint),
    inTurn: (task) => {
      const result = last.then(task);
      last = result.then(pause, pause);
      return result;
    },
  };
}

/** Lets messages in. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

function open(id: number, machine: Machine, message: ToWorker & { kind: "open" }): void {
  const session = new Session(id, message.request, machine, (answer, transfer = []) => scope.postMessage(answer, transfer));
  sessions.set(id, session);
  void session.run().finally(() => sessions.delete(id));
}

scope.onmessage = ({ data: message }) => {
  if (message.kind === "setup") {
    machine = started(message.setup);
    return;
  }
  const session = sessions.get(message.id);
  if (message.kind === "open") open(message.id, machine!, message);
  else if (message.kind === "bytes") session?.push(message.bytes);
  else if (message.kind === "end") session?.end();
  else session?.close();
};
