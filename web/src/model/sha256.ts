const ROUND = roundConstants();

/** The first 32 bits of the fractional parts of cube roots of the first 64 primes. */
function roundConstants(): Int32Array {
  const result = new Int32Array(64);
  for (let n = 2, found = 0; found < 64; n++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) prime = false;
    if (!prime) continue;
    const scaled = BigInt(n) << 96n; // the cube root of n, in units of 2^-32
    let root = BigInt(Math.floor(Math.cbrt(n) * 2 ** 32));
    while (root * root * root > scaled) root--;
    while ((root + 1n) ** 3n <= scaled) root++;
    result[found++] = Number(root & 0xffffffffn) | 0;
  }
  return result;
}

/** SHA-256 in 64 hexadecimal digits: by the browser, many times as fast as here, in pages that are secure. */
export async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  if (!globalThis.crypto?.subtle) return new Sha256().update(data).digest();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** SHA-256 of bytes that come in parts. */
export class Sha256 {
  private readonly state = Int32Array.of(
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  );
  private readonly block = new Uint8Array(64);
  private readonly words = new Int32Array(64); // with signs, which engines add fastest
  private length = 0;

  update(data: Uint8Array): this {
    let at = 0;
    while (at < data.length) {
      const used = this.length % 64;
      const taken = Math.min(64 - used, data.length - at);
      if (taken === 64) this.compress(data, at);
      else this.block.set(data.subarray(at, at + taken), used);
      at += taken;
      this.length += taken;
      if (taken < 64 && this.length % 64 === 0) this.compress(this.block, 0);
    }
    return this;
  }

  /** 64 hexadecimal digits; ends the hash. */
  digest(): string {
    const bits = this.length * 8;
    this.update(new Uint8Array([0x80]));
    this.update(new Uint8Array((120 - (this.length % 64)) % 64));
    const end = new Uint8Array(8);
    const view = new DataView(end.buffer);
    view.setUint32(0, Math.floor(bits / 2 ** 32));
    view.setUint32(4, bits >>> 0);
    this.update(end);
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** Take the 64 bytes from `at` on. */
  private compress(data: Uint8Array, at: number): void {
    const { words, state } = this;
    for (let i = 0, j = at; i < 16; i++, j += 4) {
      words[i] = (data[j] << 24) | (data[j + 1] << 16) | (data[j + 2] << 8) | data[j + 3];
    }
    for (let i = 16; i < 64; i++) {
      const [x, y] = [words[i - 15], words[i - 2]];
      const low = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
      words[i] = (words[i - 16] + low + words[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))) | 0;
    }
    let [a, b, c, d] = [state[0], state[1], state[2], state[3]];
    let [e, f, g, h] = [state[4], state[5], state[6], state[7]];
    for (let i = 0; i < 64; i++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[i] + words[i]) | 0;
      const other = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + other) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

function turn(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits));
}
