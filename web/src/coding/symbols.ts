/** Section 6 of docs/format.md: the symbols of a step, from its payload and the row of each. */

import { CdrError } from "../format/errors.js";
import { type Distribution, RangeDecoder, distributionOf } from "./range_decoder.js";

export const SYMBOLS = 32; // of a row: -15..15, and an escape
const LARGEST = 15;
const ESCAPE = 16;
const RAW = distributionOf(new Array(512).fill(2 ** 15), -256);
const GROUP = 64; // symbols of quiet rows
const LOUD = distributionOf([2 ** 24 - 2 ** 18, 2 ** 18], 0);
const INSIDE = insideGroups();

/** Of symbols in quiet groups that are not all 0. */
function insideGroups(): Distribution {
  const halves = Array.from({ length: LARGEST }, (_, i) => 2 ** (16 - i));
  return distributionOf([...halves.slice().reverse(), 2 ** 24 - 2 ** 18, ...halves, 8], -LARGEST);
}

/** The index of the next symbol of a distribution; -1 where the data does not say. */
type Take = (before: Uint32Array) => number;

function whole(payload: Uint8Array): Take {
  const decoder = new RangeDecoder(payload, 0);
  return (before) => {
    const index = decoder.next(before);
    if (index < 0) throw new CdrError("its symbols cannot be decoded: it was not made by a cdraw encoder");
    return index;
  };
}

/** What two decoders agree on, which read the least and the most that may follow. */
function beginning(payload: Uint8Array): Take {
  const [one, other] = [new RangeDecoder(payload, 0), new RangeDecoder(payload, 255)];
  return (before) => {
    const index = one.next(before);
    return index >= 0 && index === other.next(before) ? index : -1;
  };
}

/** Symbols of a step, int16; and where they are known, 0 or 1 each. */
export interface Found {
  readonly symbols: Int16Array;
  readonly known: Uint8Array;
}

/** Decodes symbols under a table of frequencies, rows of falling slope first. */
export class SymbolCoder {
  private readonly rows: Distribution[] = [];
  private readonly order: number[]; // of rows that are not quiet
  private readonly quiet: Uint8Array;

  /** frequencies: (rows, 32), each row summing to 2^24. slopes: (rows); 0 for quiet ones. */
  constructor(frequencies: Int32Array, slopes: ArrayLike<number>) {
    const count = slopes.length;
    for (let row = 0; row < count; row++) {
      this.rows.push(distributionOf(frequencies.subarray(row * SYMBOLS, (row + 1) * SYMBOLS), -LARGEST));
    }
    this.quiet = Uint8Array.from({ length: count }, (_, row) => Number(slopes[row] === 0));
    const loud = Array.from({ length: count }, (_, row) => row).filter((row) => !this.quiet[row]);
    this.order = loud.sort((a, b) => slopes[b] - slopes[a] || a - b);
  }

  /**
   * The symbols of a step. rows: of each, in raster order. cut: the payload is only the beginning; then those are
   * known that are the same however it goes on. Throws CdrError for what no encoder made.
   */
  decode(payload: Uint8Array, rows: Uint16Array, cut: boolean): Found {
    const reading = new Reading(cut ? beginning(payload) : whole(payload), rows.length);
    const begins = this.sorted(rows, reading.positions);
    for (const row of this.order) {
      const end = begins[row]; // behind its symbols
      if (end[0] < end[1] && !reading.fill(end[0], end[1], this.rows[row])) return reading;
    }
    reading.takeGroups(begins[this.rows.length][0]);
    return reading;
  }

  /** Sort places by row into `positions`, quiet ones last. Where each row begins and ends; the last entry: quiet ones. */
  private sorted(rows: Uint16Array, positions: Int32Array): [number, number][] {
    const count = this.rows.length;
    const counts = new Int32Array(count + 1);
    const { quiet } = this;
    for (let i = 0; i < rows.length; i++) counts[quiet[rows[i]] ? count : rows[i]]++;
    const next = new Int32Array(count + 1);
    const result: [number, number][] = new Array(count + 1).fill([0, 0]);
    let at = 0;
    for (const row of [...this.order, count]) {
      next[row] = at;
      result[row] = [at, at + counts[row]];
      at += counts[row];
    }
    for (let i = 0; i < rows.length; i++) positions[next[quiet[rows[i]] ? count : rows[i]]++] = i;
    return result;
  }
}

/** The symbols of one payload, as they are found. */
class Reading implements Found {
  readonly symbols: Int16Array;
  readonly known: Uint8Array;
  /** Of symbols, in the order in which they are sent. */
  readonly positions: Int32Array;

  constructor(
    private readonly take: Take,
    count: number,
  ) {
    this.symbols = new Int16Array(count);
    this.known = new Uint8Array(count);
    this.positions = new Int32Array(count);
  }

  /** Symbols at positions begin..end-1, and escapes behind them; whether all are sure. */
  fill(begin: number, end: number, row: Distribution, positions = this.positions): boolean {
    const { symbols, known, take } = this;
    const { before, first } = row;
    const escaped: number[] = [];
    let at = begin;
    for (; at < end; at++) {
      const index = take(before);
      if (index < 0) break;
      if (index + first === ESCAPE) escaped.push(at);
      if (positions[at] >= 0) symbols[positions[at]] = index + first;
    }
    let sure = at;
    if (at < end && escaped.length) sure = escaped[0];
    if (at === end) {
      for (const place of escaped) {
        const index = take(RAW.before);
        if (index < 0) {
          sure = place;
          break;
        }
        if (positions[place] >= 0) symbols[positions[place]] = index + RAW.first;
      }
    }
    for (let i = begin; i < sure; i++) if (positions[i] >= 0) known[positions[i]] = 1;
    for (let i = sure; i < at; i++) if (positions[i] >= 0) symbols[positions[i]] = 0;
    return sure === end;
  }

  /** Symbols of quiet rows, whose positions begin at `begin`. */
  takeGroups(begin: number): void {
    const { positions, known, take } = this;
    const groups = Math.ceil((positions.length - begin) / GROUP);
    const loud: number[] = [];
    let group = 0;
    for (; group < groups; group++) {
      const index = take(LOUD.before);
      if (index < 0) break;
      const from = begin + group * GROUP;
      if (index) loud.push(from);
      else for (let i = from; i < Math.min(from + GROUP, positions.length); i++) known[positions[i]] = 1;
    }
    if (!loud.length || group < groups) return;
    const inside = new Int32Array(loud.length * GROUP).fill(-1);
    loud.forEach((from, i) => inside.set(positions.subarray(from, from + GROUP), i * GROUP));
    this.fill(0, inside.length, INSIDE, inside);
  }
}
