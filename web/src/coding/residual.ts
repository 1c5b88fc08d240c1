/** Section 7 of docs/format.md: the residual steps, which make every pixel exact. */

import { CdrError } from "../format/errors.js";
import type { Model } from "../model/model.js";
import { type Bytes, type Seen, ZERO_POINT, inByte, newBytes } from "../network/bytes.js";
import type { Convolver } from "../network/convolution.js";
import { type Levels, greyed } from "./levels.js";
import { SymbolCoder } from "./symbols.js";

const PLACES = [
  [0, 0],
  [1, 1],
  [0, 1],
  [1, 0],
]; // (row, column) in a square
const COLOURS = [1, 0, 2]; // green, red, blue
const LIMIT = 128; // of magnitudes
const SCALES = 64;

/** A picture of which some pixels are known exactly, and the others as they were shown. */
export class ExactPixels {
  /** What is known. */
  readonly levels: Levels;
  private readonly squares: Bytes; // (rows, columns, 12) of what was shown, in the order of the steps
  private readonly past: Uint8Array; // the same of what was sent, about 128
  private readonly coder: SymbolCoder;

  constructor(
    private readonly model: Model,
    private readonly convolver: Convolver,
    shown: Levels,
    private readonly grey: boolean,
  ) {
    const start = grey ? greyed(shown) : shown;
    this.levels = { ...start, data: start.data.slice() };
    this.squares = newBytes(shown.height / 2, shown.width / 2, 12);
    for (let i = 0; i < 12; i++) {
      this.each(i, (pixel, square) => (this.squares.data[12 * square + i] = start.data[pixel]));
    }
    this.past = new Uint8Array(this.squares.data.length).fill(ZERO_POINT);
    const frequencies = model.residualFrequencies;
    const rows = frequencies.length / 32;
    this.coder = new SymbolCoder(frequencies, Int32Array.from({ length: rows }, (_, row) => rows - row));
  }

  /** Take residual step i from its payload. cut: that is only the beginning. Throws CdrError. */
  async step(i: number, payload: Uint8Array, cut: boolean): Promise<void> {
    if (this.grey && i % 3) {
      if (payload.length) throw new CdrError("a residual step holds colour, and the picture is grey");
      return;
    }
    const answer = await this.predict(i);
    const rows = new Uint16Array(answer.height * answer.width);
    for (let square = 0; square < rows.length; square++) {
      const left = (answer.data[2 * square] - ZERO_POINT + 2) & 3;
      rows[square] = SCALES * left + Math.min(answer.data[2 * square + 1], SCALES - 1);
    }
    const { symbols, known } = this.coder.decode(payload, rows, cut);
    if (symbols.some((symbol) => Math.abs(symbol) > LIMIT)) {
      throw new CdrError("a residual step holds what no picture has: it was not made by a cdraw encoder");
    }
    this.each(i, (pixel, square) => {
      if (!known[square]) return;
      const centre = (answer.data[2 * square] - ZERO_POINT + 2) >> 2;
      this.put(i, pixel, square, (this.squares.data[12 * square + i] + centre + symbols[square]) & 255);
    });
  }

  private put(i: number, pixel: number, square: number, level: number): void {
    const size = this.levels.height * this.levels.width;
    const base = pixel % size;
    for (let step = i; step < (this.grey ? i + 3 : i + 1); step++) {
      const at = base + (this.grey ? COLOURS[step % 3] : COLOURS[i % 3]) * size;
      this.levels.data[at] = level;
      this.past[12 * square + step] = inByte(8 * (level - this.squares.data[12 * square + step]));
    }
  }

  /** Centre and scale of the pixels of step i. */
  private async predict(i: number): Promise<Bytes> {
    const { height, width } = this.squares;
    const past = newBytes(height, width, i);
    for (let square = 0; square < height * width; square++) {
      for (let j = 0; j < i; j++) past.data[square * i + j] = this.past[12 * square + j];
    }
    const hidden = Array.from({ length: this.model.config.residualLayers - 2 }, (_, j) => `hidden.${j}`);
    let seen: Seen[] = [{ bytes: this.squares, outside: ZERO_POINT }];
    if (i) seen.push({ bytes: past, outside: ZERO_POINT });
    for (const part of ["entry", ...hidden, "exit"]) {
      const name = `residual.${i}.${part}`;
      const convolution = this.model.convolution(name);
      const bytes = await this.convolver.run(convolution, seen, this.model.bias(`${name}.bias`, convolution.outputs));
      seen = [{ bytes, outside: 0 }];
    }
    return seen[0].bytes;
  }

  /** Calls back for each pixel of step i, with the number of its square. */
  private each(i: number, call: (pixel: number, square: number) => void): void {
    const [[row, column], colour] = [PLACES[Math.floor(i / 3)], COLOURS[i % 3]];
    const { height, width } = this.levels;
    for (let y = row, square = 0; y < height; y += 2) {
      for (let x = column; x < width; x += 2) call((colour * height + y) * width + x, square++);
    }
  }
}
