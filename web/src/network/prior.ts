/** Section 4 of docs/format.md, the prior: which row of a distribution codes each symbol of a step. */

import type { Canvas, Known } from "../coding/canvas.js";
import type { Step } from "../model/config.js";
import type { Model } from "../model/model.js";
import { type Bytes, type Seen, ZERO_POINT, newBytes } from "./bytes.js";
import type { Convolver } from "./convolution.js";
import { lowLogarithms } from "./features.js";

const CELL_LIMIT = 511; // of the memory c
const ROWS = 64; // of a family and level
const [ZERO, REFINE] = [256, 512]; // the first row of each family but the first
const SIGN_STEPS = [1229, 4096, 8602]; // of the levels of certainty about a sign

/** The recurrent state of a layer, (height, width, state). */
interface State {
  h: Bytes;
  readonly c: Int16Array;
}

/** The networks of all layers and steps, and their states in one picture. */
export class Prior {
  private readonly states: State[];

  constructor(
    private readonly model: Model,
    private readonly canvas: Canvas,
    private readonly convolver: Convolver,
  ) {
    this.states = canvas.layers.map(({ height, width }, i) => {
      const { state } = model.config.layers[i];
      return { h: newBytes(height, width, state, ZERO_POINT), c: new Int16Array(height * width * state) };
    });
  }

  /** Take step t: the row of each of its symbols, 0..575, in raster order. */
  async step(t: number): Promise<Uint16Array> {
    const step = this.model.config.steps[t];
    const known = this.canvas.layers[step.layer];
    const logarithms = bytesOf(known, known.logarithms);
    const state = this.states[step.layer];
    recur(await this.gates(t, step, logarithms), state);
    const context = await this.shared(t, step.layer, "context", [{ bytes: state.h, outside: ZERO_POINT }]);
    return this.heads(t, step, known, context, logarithms);
  }

  /** A convolution that the steps of a layer share, with the bias of step t. */
  private shared(t: number, layer: number, name: string, seen: Seen[]): Promise<Bytes> {
    const convolution = this.model.convolution(`prior.layers.${layer}.${name}`);
    return this.convolver.run(convolution, seen, this.model.bias(`prior.steps.${t}.${name}`, convolution.outputs));
  }

  /** admit, keep, emit and candidate, side by side. */
  private async gates(t: number, { layer, cell }: Step, logarithms: Bytes): Promise<Bytes> {
    const { layers } = this.model.config;
    const seen: Seen[] = [{ bytes: logarithms, outside: 0 }];
    const low = this.canvas.low(layer);
    if (low) seen.push({ bytes: lowLogarithms(low, cell, this.model.quotients), outside: 0 });
    const embedded = await this.shared(t, layer, "embedding", seen);
    const around = [this.states[layer].h];
    if (layer) around.push(enlarged(this.states[layer - 1].h, layers[layer - 1].stride / layers[layer].stride));
    if (layer + 1 < layers.length) {
      around.push(pooled(this.states[layer + 1].h, layers[layer].stride / layers[layer + 1].stride));
    }
    const states = around.map((bytes) => ({ bytes, outside: ZERO_POINT }));
    return this.shared(t, layer, "recurrence", [...states, { bytes: embedded, outside: 0 }]);
  }

  private async heads(t: number, step: Step, known: Known, context: Bytes, logarithms: Bytes): Promise<Uint16Array> {
    const name = `prior.steps.${t}`;
    const rows = this.model.convolution(`${name}.rows`);
    const told = known.expected && sizes(known, known.expected);
    const seen = [...(told ? [told] : []), context, logarithms].map((bytes) => ({ bytes, outside: 0 }));
    const found = await this.convolver.run(rows, seen, this.model.bias(`${name}.rows.bias`, rows.outputs));
    const factors = this.model.bias(`${name}.signs`, step.last - step.first);
    return chosen(found, step, known, told && { bytes: told, thresholds: thresholdsOf(factors) });
  }
}

function bytesOf({ height, width, coefficients }: Known, data: Uint8Array): Bytes {
  return { height, width, channels: coefficients, data };
}

/** The next h and c of a state. */
function recur(gates: Bytes, state: State): void {
  const { c, h } = state;
  const { channels } = h;
  const given = gates.data;
  const next = newBytes(h.height, h.width, channels);
  for (let at = 0, from = 0; at < c.length; at += channels, from += 4 * channels) {
    for (let i = 0; i < channels; i++) {
      const admit = from + i;
      const [keep, emit, candidate] = [admit + channels, admit + 2 * channels, admit + 3 * channels];
      let memory = (given[keep] * c[at + i] + given[admit] * (given[candidate] - ZERO_POINT) + 128) >> 8;
      memory = memory < -CELL_LIMIT ? -CELL_LIMIT : memory > CELL_LIMIT ? CELL_LIMIT : memory;
      c[at + i] = memory;
      const shown = memory < -127 ? -127 : memory > 127 ? 127 : memory;
      next.data[at + i] = ((given[emit] * shown + 128) >> 8) + ZERO_POINT;
    }
  }
  state.h = next;
}

/** A coarser state, each position repeated as a square. */
function enlarged({ height, width, channels, data }: Bytes, ratio: number): Bytes {
  const result = newBytes(height * ratio, width * ratio, channels);
  for (let y = 0, to = 0; y < result.height; y++) {
    for (let x = 0; x < result.width; x++) {
      let from = (Math.floor(y / ratio) * width + Math.floor(x / ratio)) * channels;
      for (let i = 0; i < channels; i++) result.data[to++] = data[from++];
    }
  }
  return result;
}

/** A finer state: means of squares of positions, halves up. */
function pooled({ height, width, channels, data }: Bytes, ratio: number): Bytes {
  const result = newBytes(height / ratio, width / ratio, channels);
  const sums = new Int32Array(channels);
  const count = ratio * ratio;
  for (let y = 0, to = 0; y < result.height; y++) {
    for (let x = 0; x < result.width; x++) {
      sums.fill(count >> 1);
      for (let place = 0; place < count; place++) {
        let from = ((y * ratio + Math.floor(place / ratio)) * width + x * ratio + (place % ratio)) * channels;
        for (let i = 0; i < channels; i++) sums[i] += data[from++];
      }
      for (let i = 0; i < channels; i++) result.data[to++] = Math.floor(sums[i] / count);
    }
  }
  return result;
}

/** What is expected of coefficients, without the signs of those that are 0. */
function sizes(known: Known, expected: Uint8Array): Bytes {
  const [data, result] = [known.data, expected.slice()];
  for (let i = 0; i < data.length; i++) {
    if (data[i] === 0 && result[i] < ZERO_POINT) result[i] = 2 * ZERO_POINT - result[i];
  }
  return bytesOf(known, result);
}

/** From which offset on each level of certainty is taken, three for each coefficient. */
function thresholdsOf(factors: Int32Array): Int32Array {
  return Int32Array.from({ length: 3 * factors.length }, (_, i) => {
    const factor = factors[Math.floor(i / 3)];
    return factor > 0 ? Math.ceil(SIGN_STEPS[i % 3] / factor) : 256; // beyond every offset
  });
}

/** The row of each symbol of a step, from what the heads say. told: if a forecast was made. */
function chosen(
  found: Bytes,
  { first, last }: Step,
  { data, coefficients, cells }: Known,
  told: { bytes: Bytes; thresholds: Int32Array } | undefined,
): Uint16Array {
  const count = last - first;
  const fresh = cells.subarray(first, last).map((cell) => Number(cell === 0));
  const result = new Uint16Array((data.length / coefficients) * count);
  const [rows, channels] = [found.data, found.channels];
  for (let at = first, from = 0, to = 0; to < result.length; at += coefficients, from += channels) {
    for (let i = 0; i < count; i++, to++) {
      if (data[at + i] !== 0) {
        result[to] = REFINE + Math.min(rows[from + count + i], ROWS - 1);
        continue;
      }
      let row = Math.min(rows[from + i], ROWS - 1) + (fresh[i] ? 0 : ZERO);
      if (told) {
        const away = told.bytes.data[at + i] - ZERO_POINT;
        for (let level = 3 * i; level < 3 * i + 3; level++) if (away >= told.thresholds[level]) row += ROWS;
      }
      result[to] = row;
    }
  }
  return result;
}
