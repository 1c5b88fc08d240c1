/** Section 8 of docs/format.md: the numbers from which symbols are drawn. */

const WORD = (1n << 64n) - 1n;
const MULTIPLIERS = [0xd2e7470ee14c6c93n, 0xca5a826395121157n];
const STEPS = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn];
const ROUNDS = 10;

/** The upper 24 bits of the first `count` outputs of Philox4x64-10 with key (seed, 0) and counter (b, 0, 0, step). */
export function uniform(seed: bigint, step: number, count: number): Uint32Array {
  const result = new Uint32Array(count);
  for (let block = 0; 4 * block < count; block++) {
    let [a, b, c, d] = [BigInt(block + 1), 0n, 0n, BigInt(step)];
    let [k, l] = [seed & WORD, 0n];
    for (let round = 0; round < ROUNDS; round++) {
      const [one, other] = [a * MULTIPLIERS[0], c * MULTIPLIERS[1]];
      [a, b, c, d] = [(other >> 64n) ^ b ^ k, other & WORD, (one >> 64n) ^ d ^ l, one & WORD];
      [k, l] = [(k + STEPS[0]) & WORD, (l + STEPS[1]) & WORD];
    }
    [a, b, c, d].forEach((word, i) => {
      if (4 * block + i < count) result[4 * block + i] = Number(word >> 40n);
    });
  }
  return result;
}
