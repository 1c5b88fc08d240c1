/** RFC 9649, section 3.7: bits and prefix codes of a VP8L stream. */

const LONGEST = 15; // bits of a code
const CODE_ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
// symbols 16, 17 and 18 repeat a length: bits that say how often, and the least
const REPEATS = [
  [2, 3],
  [3, 3],
  [7, 11],
];

/** Bits, the least significant of a byte first. Throws RangeError where the stream ends. */
export class Bits {
  private at = 0; // bits

  constructor(private readonly data: Uint8Array) {}

  read(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++) value |= this.bit() << i;
    return value;
  }

  bit(): number {
    const byte = this.at >> 3;
    if (byte >= this.data.length) throw new RangeError("the stream ends early");
    return (this.data[byte] >> (this.at++ & 7)) & 1;
  }
}

/** A canonical prefix code. */
export class PrefixCode {
  private readonly counts = new Int32Array(LONGEST + 1);
  private readonly symbols: Int32Array;
  private readonly only: number; // the one symbol, if there is no other; it takes no bits

  /** lengths: of the code of each symbol, 0 for none. Throws RangeError unless they make a full code. */
  constructor(lengths: ArrayLike<number>) {
    for (let i = 0; i < lengths.length; i++) this.counts[lengths[i]]++;
    this.counts[0] = 0;
    const starts = new Int32Array(LONGEST + 2);
    for (let length = 1; length <= LONGEST; length++) starts[length + 1] = starts[length] + this.counts[length];
    this.symbols = new Int32Array(starts[LONGEST + 1]);
    for (let i = 0; i < lengths.length; i++) if (lengths[i]) this.symbols[starts[lengths[i]]++] = i;
    this.only = this.symbols.length === 1 ? this.symbols[0] : -1;
    let room = 1;
    for (let length = 1; length <= LONGEST; length++) room = 2 * room - this.counts[length];
    if (this.only < 0 && room) throw new RangeError("a prefix code is not full");
  }

  read(bits: Bits): number {
    if (this.only >= 0) return this.only;
    let [code, first, index] = [0, 0, 0];
    for (let length = 1; length <= LONGEST; length++) {
      code = (code << 1) | bits.bit();
      const count = this.counts[length];
      if (code - first < count) return this.symbols[index + code - first];
      index += count;
      first = (first + count) << 1;
    }
    throw new RangeError("no symbol has such a code");
  }
}

/** A code as it is stored, of so many symbols. */
export function readPrefixCode(bits: Bits, count: number): PrefixCode {
  const lengths = new Uint8Array(count);
  if (bits.bit()) {
    const two = bits.bit();
    const first = bits.bit() ? bits.read(8) : bits.bit();
    const second = two ? bits.read(8) : first;
    if (first >= count || second >= count) throw new RangeError("a symbol is too large");
    lengths[first] = lengths[second] = 1;
    return new PrefixCode(lengths);
  }
  const ofLengths = new Uint8Array(CODE_ORDER.length);
  const stored = 4 + bits.read(4);
  for (let i = 0; i < stored; i++) ofLengths[CODE_ORDER[i]] = bits.read(3);
  let left = bits.bit() ? 2 + bits.read(2 + 2 * bits.read(3)) : count;
  if (left > count) throw new RangeError("a code has too many lengths");
  const code = new PrefixCode(ofLengths);
  let previous = 8;
  for (let i = 0; i < count && left > 0; left--) {
    const symbol = code.read(bits);
    if (symbol < 16) {
      lengths[i++] = symbol;
      if (symbol) previous = symbol;
      continue;
    }
    const [extra, least] = REPEATS[symbol - 16];
    const times = least + bits.read(extra);
    if (i + times > count) throw new RangeError("a length is repeated too often");
    lengths.fill(symbol === 16 ? previous : 0, i, i + times);
    i += times;
  }
  return new PrefixCode(lengths);
}
