/** Sections 4 and 6 of docs/format.md: the steps of the model, from their payloads to the canvas. */

import { type Header, isGrey } from "../format/header.js";
import type { Model } from "../model/model.js";
import type { Convolver } from "../network/convolution.js";
import { estimate } from "../network/estimator.js";
import { Prior } from "../network/prior.js";
import { Canvas } from "./canvas.js";
import { type Levels, levelsOf } from "./levels.js";
import { uniform } from "./philox.js";
import { SYMBOLS, SymbolCoder } from "./symbols.js";

const LATE = 256; // slopes up to this are sent at the end of a pass
const LARGEST = 15; // magnitude of a symbol with a number of its own

/** How what is not stored is filled in: with the likeliest picture, with nothing, or with a sample of the prior. */
export type Fill = "estimate" | "none" | "prior";

/** Symbols of a step, in raster order: the row of each, and whether it is still missing. */
interface Waiting {
  readonly rows: Uint16Array;
  readonly missing: Uint8Array;
}

/** What is known of a picture after some steps of the model. */
export class ModelSteps {
  private readonly canvas: Canvas;
  private readonly prior: Prior;
  private readonly waiting = new Map<number, Waiting>(); // of the pass
  private readonly coders = new Map<number, SymbolCoder>(); // of passes
  private begun = 0; // steps

  constructor(
    private readonly model: Model,
    private readonly convolver: Convolver,
    private readonly header: Header,
  ) {
    const multiple = model.config.layers[0].stride;
    const padded = (side: number) => Math.ceil(side / multiple) * multiple;
    this.canvas = new Canvas(model, padded(header.height), padded(header.width));
    this.prior = new Prior(model, this.canvas, convolver);
  }

  /** Take the next step. cut: its payload is only the beginning. Throws CdrError for what no encoder made. */
  async take(payload: Uint8Array, cut: boolean): Promise<void> {
    const { model, waiting } = this;
    const { slopes } = model;
    const t = this.begun;
    const { endsPass, pass } = model.config.steps[t];
    const rows = await this.rows(t);
    this.begun = t + 1;
    const sent = this.sent(t, rows.length);
    const held = sent.slice();
    if (!endsPass) for (let i = 0; i < held.length; i++) if (slopes[rows[i]] <= LATE) held[i] = 0;
    const parts = [...(endsPass ? [...waiting] : []), [t, { rows, missing: held }] as const];
    const { symbols, known } = this.coder(pass).decode(payload, gathered(parts.map(([, part]) => part)), cut);
    this.canvas.begin(t);
    waiting.set(t, { rows, missing: sent.slice() });
    let at = 0;
    for (const [s, part] of parts) {
      const [found, there] = [new Int16Array(part.rows.length), new Uint8Array(part.rows.length)];
      const [asked, { missing }] = [part.missing, waiting.get(s)!];
      for (let i = 0; i < found.length; i++) {
        if (asked[i]) {
          found[i] = symbols[at];
          there[i] = known[at++];
          if (there[i]) missing[i] = 0;
        } else if (s === t && !sent[i]) {
          there[i] = 1; // a 0 that is not stored
        }
      }
      this.canvas.complete(s, found, there);
    }
    if (endsPass && !cut) waiting.clear();
  }

  /** Draw what is not stored from the prior. seed: below 2^64. */
  async sample(seed: bigint): Promise<void> {
    const { steps } = this.model.config;
    for (const [s, { rows, missing }] of this.waiting) this.canvas.complete(s, this.drawn(s, rows, seed), missing);
    for (let t = this.begun; t < steps.length; t++) {
      const rows = await this.rows(t);
      const [symbols, sent] = [this.drawn(t, rows, seed), this.sent(t, rows.length)];
      this.canvas.begin(t);
      this.canvas.complete(t, symbols.map((symbol, i) => symbol * sent[i]), new Uint8Array(rows.length).fill(1));
      this.begun = t + 1;
    }
  }

  /** The padded picture, as it most likely is, or else with the middles of cells. */
  async shown(estimated: boolean): Promise<Levels> {
    const planes = this.canvas.planes();
    if (estimated) await estimate(this.model, this.convolver, Math.max(this.begun - 1, 0), planes);
    return levelsOf(planes, this.header, this.model.axes);
  }

  /** The picture without its finest layer, one pixel for `side` x `side`; undefined for a model that has no other. */
  preview(): { levels: Levels; side: number } | undefined {
    const last = this.model.transforms.length - 1;
    const low = this.canvas.low(last);
    const side = this.model.transforms[last].side / 2;
    return low && { levels: levelsOf(low, this.header, this.model.axes, side), side };
  }

  private async rows(t: number): Promise<Uint16Array> {
    if (this.model.config.steps[t].forecast) await this.canvas.expect(t, this.convolver);
    return this.prior.step(t);
  }

  /** Which symbols of step t a file holds: of a grey picture those of luma. */
  private sent(t: number, count: number): Uint8Array {
    const { layer, first, last } = this.model.config.steps[t];
    const { places, side } = this.model.transforms[layer];
    const result = new Uint8Array(count).fill(1);
    if (isGrey(this.header)) {
      const held = places.subarray(first, last).map((place) => Number(place < side * side));
      for (let i = 0; i < count; i++) result[i] = held[i % held.length];
    }
    return result;
  }

  private coder(pass: number): SymbolCoder {
    let coder = this.coders.get(pass);
    if (!coder) this.coders.set(pass, (coder = new SymbolCoder(this.model.frequencies(pass), this.model.slopes)));
    return coder;
  }

  private drawn(t: number, rows: Uint16Array, seed: bigint): Int16Array {
    const frequencies = this.model.frequencies(this.model.config.steps[t].pass);
    const numbers = uniform(seed, t, rows.length);
    return Int16Array.from(rows, (row, i) => {
      let symbol = 0;
      let sum = frequencies[row * SYMBOLS];
      while (sum <= numbers[i]) sum += frequencies[row * SYMBOLS + ++symbol];
      return symbol - LARGEST;
    });
  }
}

/** The rows of symbols that are missing, part by part. */
function gathered(parts: readonly Waiting[]): Uint16Array {
  const result = new Uint16Array(parts.reduce((sum, { rows }) => sum + rows.length, 0));
  let at = 0;
  for (const { rows, missing } of parts) {
    for (let i = 0; i < rows.length; i++) if (missing[i]) result[at++] = rows[i];
  }
  return result.subarray(0, at);
}
