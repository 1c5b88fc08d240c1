/** The worker: everything between bytes and pixels happens here, so that the page never waits. */

import * as ort from "onnxruntime-web/wasm";
import { Convolver, type Runtime } from "../network/convolution.js";
import { ModelStore } from "./model_store.js";
import type { FromWorker, Setup, ToWorker } from "./protocol.js";
import { type Machine, Session } from "./session.js";

const MOST_THREADS = 4; // more do not help with convolutions of this size
const scope = self as unknown as {
  postMessage(message: FromWorker, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
};
const sessions = new Map<number, Session>();
let machine: Machine | undefined;

function started({ model, runtime, threads }: Setup): Machine {
  const { wasm } = ort.env;
  wasm.wasmPaths = {
    mjs: new URL("ort-wasm-simd-threaded.mjs", runtime).href,
    wasm: new URL("ort-wasm-simd-threaded.wasm", runtime).href,
  };
  wasm.numThreads = self.crossOriginIsolated ? (threads ?? Math.min(navigator.hardwareConcurrency, MOST_THREADS)) : 1;
  ort.env.logLevel = "error";
  const convolver = Convolver.fastest(ort as unknown as Runtime);
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
