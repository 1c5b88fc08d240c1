/** Section 3 of docs/format.md: what is known of a picture's coefficients, and the planes that this makes. */

import { CdrError } from "../format/errors.js";
import type { Model } from "../model/model.js";
import type { Convolver } from "../network/convolution.js";
import { ZERO_POINT, inByte } from "../network/bytes.js";
import { LOW_LIMIT, forecast } from "../network/forecast.js";
import { type Planes, analysis, synthesis } from "../network/pyramid.js";

const LARGEST_KNOWN = 2 ** 15 - 1; // of a magnitude, in cells
const LARGEST_COEFFICIENT = 2 ** 17; // in 1/8 of a level
const LARGEST_LOGARITHM = 31; // magnitudes that networks tell apart

/** Of one layer; arrays are (height, width, coefficients). */
export interface Known {
  readonly height: number;
  readonly width: number;
  readonly coefficients: number;
  /** k: in which cell each coefficient lies, with its sign. */
  readonly data: Int16Array;
  /** Logarithms of |k|, as networks see them. */
  readonly logarithms: Uint8Array;
  /** Whether the symbol is missing that says in which of two cells it lies. */
  readonly open: Uint8Array;
  /** How wide cells are, in 1/8 of a level, of each coefficient; 0 where nothing is known. */
  readonly cells: Int32Array;
  /** Where coefficients are expected, about 128, more being away from 0; undefined without a forecast. */
  expected: Uint8Array | undefined;
}

/** Height and width are multiples of the coarsest stride. */
export class Canvas {
  readonly layers: readonly Known[];
  private readonly lows: (Planes | undefined)[];

  constructor(
    private readonly model: Model,
    readonly height: number,
    readonly width: number,
  ) {
    this.layers = model.config.layers.map(({ stride }, i) => {
      const coefficients = model.transforms[i].places.length;
      const [rows, columns] = [height / stride, width / stride];
      const size = rows * columns * coefficients;
      const logarithms = new Uint8Array(size).fill(model.known[0]);
      const [data, open, cells] = [new Int16Array(size), new Uint8Array(size), new Int32Array(coefficients)];
      return { height: rows, width: columns, coefficients, data, logarithms, open, cells, expected: undefined };
    });
    this.lows = this.layers.map(() => undefined);
  }

  /** Begin step t: every one of its coefficients lies in a cell half as wide, but it is not known in which. */
  begin(t: number): void {
    const { layer, first, last, cell } = this.model.config.steps[t];
    const { data, open, coefficients, cells } = this.layers[layer];
    for (let at = 0; at < data.length; at += coefficients) {
      for (let i = at + first; i < at + last; i++) {
        if (Math.abs(data[i]) > LARGEST_KNOWN / 2) throw beyond(t);
        data[i] *= 2;
        open[i] = 1;
      }
    }
    cells.fill(cell, first, last);
  }

  /** Take symbols of step t that were open, where they are `there`; both in raster order. Throws CdrError. */
  complete(t: number, symbols: Int16Array, there: Uint8Array): void {
    const { layer, first, last, cell } = this.model.config.steps[t];
    const { data, open, logarithms, coefficients, expected } = this.layers[layer];
    const { known } = this.model;
    const limit = Math.min(Math.floor(LARGEST_COEFFICIENT / cell) - 2, LARGEST_KNOWN);
    const told = expected ?? new Uint8Array(data.length).fill(ZERO_POINT);
    for (let at = 0, from = 0; at < data.length; at += coefficients) {
      for (let i = at + first; i < at + last; i++, from++) {
        let k = data[i];
        if (there[from]) {
          open[i] = 0;
          const symbol = symbols[from];
          if (symbol) k += k < 0 || (k === 0 && told[i] < ZERO_POINT) ? -symbol : symbol;
        }
        const size = k < 0 ? -k : k;
        if (size > limit) throw beyond(t);
        data[i] = k;
        logarithms[i] = known[size < LARGEST_LOGARITHM ? size : LARGEST_LOGARITHM];
      }
    }
    this.lows.fill(undefined, layer + 1);
  }

  /** The picture that the layers before this one make, two pixels a position on a side. */
  low(layer: number): Planes | undefined {
    if (layer && !this.lows[layer]) this.lows[layer] = this.made(layer - 1);
    return this.lows[layer];
  }

  /** The planes that all layers make. */
  planes(): Planes {
    return this.made(this.layers.length - 1);
  }

  private made(layer: number): Planes {
    const { height, width } = this.layers[layer];
    return synthesis(this.model.transforms[layer], this.middles(layer), height, width, this.low(layer));
  }

  /** Of the cells in which coefficients lie, in 1/8 of a level. */
  private middles(layer: number): Int32Array {
    const { data, open, cells, coefficients } = this.layers[layer];
    const result = new Int32Array(data.length);
    for (let at = 0; at < data.length; at += coefficients) {
      for (let i = 0; i < coefficients; i++) {
        const k = data[at + i];
        if (k) result[at + i] = (2 * k + (k > 0 ? 1 + open[at + i] : -1 - open[at + i])) * (cells[i] >> 1);
      }
    }
    return result;
  }

  /** Make a forecast of where coefficients lie, for step t and those that follow. */
  async expect(t: number, convolver: Convolver): Promise<void> {
    const last = this.layers.length - 1;
    const { answer, smaller } = await forecast(this.model, convolver, t, this.layers[last], this.low(last));
    const { coefficients } = this.layers[last];
    const offsets = new Uint8Array(this.layers[last].data.length);
    for (let at = 0, from = 0; at < offsets.length; at += coefficients, from += answer.channels) {
      offsets.set(answer.data.subarray(from, from + coefficients), at);
    }
    this.tell(last, offsets);
    let picture = smaller;
    if (picture) {
      const { data } = picture;
      for (let i = 0; i < data.length; i++) data[i] = Math.min(Math.max(data[i], -LOW_LIMIT), LOW_LIMIT);
    }
    for (let layer = last - 1; layer >= 0 && picture; layer--) {
      const { values, low } = analysis(this.model.transforms[layer], picture);
      const [middles, units, count] = [this.middles(layer), this.units(layer, t), this.layers[layer].coefficients];
      const offsets = new Uint8Array(values.length);
      for (let i = 0; i < values.length; i++) {
        offsets[i] = inByte(Math.floor(((values[i] - middles[i]) * 64) / units[i % count]));
      }
      this.tell(layer, offsets);
      picture = low;
    }
  }

  /** Keep what is expected of a layer. offsets: of each coefficient, in 1/64 of its unit, about 128; kept as well. */
  private tell(layer: number, offsets: Uint8Array): void {
    const known = this.layers[layer];
    const { data } = known;
    for (let i = 0; i < data.length; i++) {
      if (offsets[i] === 0) offsets[i] = 1; // as far as 127 either way
      if (data[i] < 0) offsets[i] = 2 * ZERO_POINT - offsets[i];
    }
    known.expected = offsets;
  }

  /** In what offsets of a layer count before step t: the cell of each coefficient, or the first that it will have. */
  private units(layer: number, t: number): Int32Array {
    const { steps } = this.model.config;
    const result = new Int32Array(this.layers[layer].coefficients).fill(steps[t - 1].cell);
    for (const step of [...steps.slice(t).reverse(), ...steps.slice(0, t)]) {
      if (step.layer === layer) result.fill(step.cell, step.first, step.last);
    }
    return result;
  }
}

function beyond(t: number): CdrError {
  return new CdrError(
    `step ${t + 1} holds a coefficient that no picture has: it was not made by a cdraw encoder`,
  );
}
