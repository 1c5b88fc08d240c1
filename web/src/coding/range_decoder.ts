/**
 * Section 6 of docs/format.md: the range decoder, with a state of 64 bits, in numbers that hold 53.
 *
 * Of `point` and `lower` only the difference matters, which is kept in two halves of 32 bits; of `range` only
 * `scale`, range // 2^24, which is below 2^40.
 */

const WORD = 2 ** 32;
const HALF = 2 ** 20; // scale is taken apart here for exact products
const FULL = 2 ** 24; // what the frequencies of a distribution sum to
const NEAR = 1e-7; // quotients nearer than this to a whole number are computed exactly

/** A distribution as the decoder takes it: symbols from `first` on, and the sums of frequencies before each. */
export interface Distribution {
  /** The symbol with index 0. */
  readonly first: number;
  /** (symbols + 1) sums, from 0 to 2^24, each larger than the one before. */
  readonly before: Uint32Array;
}

/** From the frequencies of symbols first, first + 1, ...; those with frequency 0 lie at the ends. */
export function distributionOf(frequencies: ArrayLike<number>, first: number): Distribution {
  let from = 0;
  let to = frequencies.length;
  while (from < to && !frequencies[from]) from++;
  while (to > from && !frequencies[to - 1]) to--;
  const before = new Uint32Array(to - from + 1);
  for (let i = from; i < to; i++) before[i - from + 1] = before[i - from] + frequencies[i];
  return { first: first + from, before };
}

/** Symbols from a payload, behind which `behind` (0 or 255) is read as often as needed. */
export class RangeDecoder {
  private at = 0;
  private high: number;
  private low: number;
  private scale = 2 ** 40 - 1;

  constructor(
    private readonly data: Uint8Array,
    private readonly behind: number,
  ) {
    this.high = this.word();
    this.low = this.word();
  }

  private word(): number {
    const { data, at, behind } = this;
    this.at = at + 4;
    if (at + 4 <= data.length) {
      return ((data[at] << 24) | (data[at + 1] << 16) | (data[at + 2] << 8) | data[at + 3]) >>> 0;
    }
    let word = 0;
    for (let i = at; i < at + 4; i++) word = word * 256 + (i < data.length ? data[i] : behind);
    return word;
  }

  /** The index of the next symbol in a distribution; -1 if the data is invalid. */
  next(before: Uint32Array): number {
    const { scale } = this;
    const quotient = (this.high * WORD + this.low) / scale;
    let quantile = Math.floor(quotient);
    const rest = quotient - quantile;
    if (quotient && (rest < NEAR || rest > 1 - NEAR)) quantile = this.exact();
    if (quantile >= FULL) return -1;
    let index = 0;
    let end = before.length - 1;
    while (end - index > 1) {
      const middle = (index + end) >> 1;
      if (before[middle] <= quantile) index = middle;
      else end = middle;
    }
    this.narrow(before[index], before[index + 1] - before[index]);
    return index;
  }

  /** The quotient, rounded down, in whole numbers. */
  private exact(): number {
    const scale = BigInt(this.scale);
    return Number(((BigInt(this.high) << 32n) | BigInt(this.low)) / scale);
  }

  /** Subtract scale * before, and go on with scale * frequency. */
  private narrow(before: number, frequency: number): void {
    const { scale } = this;
    const upper = Math.floor(scale / HALF);
    const lower = scale - upper * HALF;
    const product = upper * before; // of the upper part, in units of 2^20
    const top = Math.floor(product / 4096);
    const sum = (product - top * 4096) * HALF + lower * before;
    const carry = Math.floor(sum / WORD);
    let low = this.low - (sum - carry * WORD);
    let high = this.high - top - carry;
    if (low < 0) {
      low += WORD;
      high--;
    }
    if (scale * frequency < WORD) {
      this.high = low;
      this.low = this.word();
      this.scale = scale * frequency * 256;
    } else {
      const coarse = Math.floor(scale / FULL);
      this.high = high;
      this.low = low;
      this.scale = coarse * frequency + Math.floor(((scale - coarse * FULL) * frequency) / FULL);
    }
  }
}
