/**
 * Threads that take rows of a convolution, a few at a time, as long as there are some. None waits for one that the machine
 * does not run just now.
 */

import { type Code, JOB_SIZE, type Job, POSITIONS, computeRows } from "../network/simd_rows.js";
import type { StartThreads } from "../network/simd_kernel.js";

const [CALL, NEXT, ACTIVE, JOB] = [0, 1, 2, 3]; // places in what threads share
const CLOSED = 2 ** 30; // the next row while there is no job
const AT_ONCE = 4; // rows
const WORTH = 2 ** 28; // products of a convolution that starts the threads: a first preview does not wait for them

/** What a thread gets. */
export interface Start {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: Int32Array;
}

/** So many threads beside the one that calls. script: URL of thread.js. */
export function threadPool(count: number, script: string): StartThreads {
  return (module, memory, code) => {
    const control = new Int32Array(new SharedArrayBuffer(4 * (JOB + JOB_SIZE)));
    control[NEXT] = CLOSED;
    let started = false;
    const start = () => {
      for (let i = 0; i < count; i++) {
        const thread = new Worker(script, { type: "module", name: "cdraw thread" });
        thread.postMessage({ module, memory, control } satisfies Start);
      }
      started = true;
    };
    return {
      run: (job) => {
        if (!started && products(job) >= WORTH) start();
        // a row of few positions spills into the next one, so these are computed in order
        if (started && job[1] >= POSITIONS) run(control, code, job);
        else computeRows(code, job, 0, job[0]);
      },
    };
  };
}

function products([height, width, , , , rows, pairs, , , , , all]: Job): number {
  return height * width * rows * 2 * pairs * all;
}

/** Share a job out, take part, and wait for what others have begun. */
function run(control: Int32Array, code: Code, job: Job): void {
  control.set(job, JOB);
  Atomics.store(control, NEXT, 0);
  Atomics.add(control, CALL, 1);
  Atomics.notify(control, CALL);
  takeRows(control, code);
  Atomics.store(control, NEXT, CLOSED); // first: whoever becomes active from now on takes nothing of this job
  for (let active = Atomics.load(control, ACTIVE); active; active = Atomics.load(control, ACTIVE)) {
    Atomics.wait(control, ACTIVE, active);
  }
}

/** Take rows as long as there are some. */
function takeRows(control: Int32Array, code: Code): void {
  for (;;) {
    const first = Atomics.add(control, NEXT, AT_ONCE);
    const height = control[JOB];
    if (first >= height) return;
    computeRows(code, control.subarray(JOB, JOB + JOB_SIZE), first, Math.min(first + AT_ONCE, height));
  }
}

/** Be a thread, for good. */
export function serve({ module, memory, control }: Start): void {
  const code = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Code;
  for (let seen = Atomics.load(control, CALL); ; seen = Atomics.load(control, CALL)) {
    Atomics.wait(control, CALL, seen);
    Atomics.add(control, ACTIVE, 1); // before any row is taken
    takeRows(control, code);
    Atomics.sub(control, ACTIVE, 1);
    Atomics.notify(control, ACTIVE);
  }
}
