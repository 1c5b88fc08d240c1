/** Lossless WebP: VP8L streams, RFC 9649, section 3. Pixels are ARGB numbers of 32 bits. */

import { CdrError } from "../format/errors.js";
import { Bits, PrefixCode, readPrefixCode } from "./huffman.js";
import { type Transform, sum, undo } from "./vp8l_transforms.js";

const SIGNATURE = 0x2f;
const LENGTHS = 24; // symbols that stand for a length, behind the 256 of green
const DISTANCES = 40;
const PLANE_CODES = 120; // distances that stand for a near pixel
const HASH = 0x1e35a7bd;
// of the near pixels, in the order of their codes: rows up, and 8 less the columns to the left, in hexadecimal
const NEAR = (
  "18 07 17 19 28 06 27 29 16 1a 26 2a 38 05 37 39 15 1b 36 3a 25 2b 48 04 47 49 14 1c 35 3b " +
  "46 4a 24 2c 58 45 4b 34 3c 03 57 59 13 1d 56 5a 23 2d 44 4c 55 5b 33 3d 68 02 67 69 12 1e " +
  "66 6a 22 2e 54 5c 43 4d 65 6b 32 3e 78 01 77 79 53 5d 11 1f 64 6c 42 4e 76 7a 21 2f 75 7b " +
  "31 3f 63 6d 52 5e 00 74 7c 41 4f 10 20 62 6e 30 73 7d 51 5f 40 72 7e 61 6f 50 71 7f 60 70 "
).split(" ");

/** The pixels of a stream, (height, width) ARGB; it must have that size. Throws CdrError. */
export function decodeVp8l(stream: Uint8Array, width: number, height: number): { argb: Uint32Array; alpha: boolean } {
  const sides = stream.length < 5 ? 0 : (stream[1] | (stream[2] << 8) | (stream[3] << 16) | (stream[4] << 24)) >>> 0;
  if (stream[0] !== SIGNATURE || (sides & 16383) + 1 !== width || ((sides >>> 14) & 16383) + 1 !== height) {
    throw new CdrError("its lossless picture does not fit its header");
  }
  try {
    const bits = new Bits(stream.subarray(5));
    const transforms: Transform[] = [];
    let stored = width; // columns of what is stored
    while (bits.bit()) {
      const kind = bits.read(2);
      if (transforms.some((each) => each.kind === kind)) throw new RangeError("a transform comes twice");
      const transform = readTransform(bits, kind, stored, height);
      transforms.push(transform);
      stored = transform.columns;
    }
    let argb = readPixels(bits, stored, height, true);
    for (const transform of transforms.reverse()) argb = undo(transform, argb, height);
    return { argb, alpha: ((sides >>> 28) & 1) === 1 };
  } catch (error) {
    if (error instanceof RangeError) throw new CdrError(`its lossless picture is damaged (${error.message})`);
    throw error;
  }
}

function readTransform(bits: Bits, kind: number, width: number, height: number): Transform {
  if (kind === 2) return { kind, width, columns: width, bits: 0, data: new Uint32Array() };
  if (kind === 3) {
    const colours = 1 + bits.read(8);
    const data = readPixels(bits, colours, 1, false);
    for (let i = 1; i < colours; i++) data[i] = sum(data[i - 1], data[i]);
    const packed = colours > 16 ? 0 : colours > 4 ? 1 : colours > 2 ? 2 : 3;
    return { kind, width, columns: Math.ceil(width / 2 ** packed), bits: packed, data };
  }
  const size = 2 + bits.read(3); // of squares, in bits
  const data = readPixels(bits, Math.ceil(width / 2 ** size), Math.ceil(height / 2 ** size), false);
  return { kind, width, columns: width, bits: size, data };
}

/** The five codes of pixels: green with lengths and cached colours, red, blue, alpha, distance. */
type Group = PrefixCode[];

interface Groups {
  /** The group of the pixel in that column and row. */
  at(x: number, y: number): Group;
  readonly cacheBits: number;
}

function readGroups(bits: Bits, width: number, height: number, main: boolean): Groups {
  const cacheBits = bits.bit() ? bits.read(4) : 0;
  if (cacheBits > 11) throw new RangeError("the cache is too large");
  let [size, columns, count] = [0, 0, 1];
  let numbers = new Uint32Array();
  if (main && bits.bit()) {
    size = 2 + bits.read(3);
    columns = Math.ceil(width / 2 ** size);
    numbers = readPixels(bits, columns, Math.ceil(height / 2 ** size), false).map((pixel) => (pixel >>> 8) & 0xffff);
    for (const number of numbers) count = Math.max(count, number + 1);
  }
  const sizes = [256 + LENGTHS + (cacheBits ? 2 ** cacheBits : 0), 256, 256, 256, DISTANCES];
  const groups: Group[] = [];
  for (let i = 0; i < count; i++) groups.push(sizes.map((symbols) => readPrefixCode(bits, symbols)));
  return { cacheBits, at: (x, y) => groups[columns ? numbers[(y >> size) * columns + (x >> size)] : 0] };
}

/** A picture inside the stream. main: it is the picture itself. */
function readPixels(bits: Bits, width: number, height: number, main: boolean): Uint32Array {
  const groups = readGroups(bits, width, height, main);
  const { cacheBits } = groups;
  const cache = new Uint32Array(cacheBits ? 2 ** cacheBits : 0);
  const pixels = new Uint32Array(width * height);
  const keep = (pixel: number) => {
    if (cacheBits) cache[Math.imul(pixel, HASH) >>> (32 - cacheBits)] = pixel;
  };
  for (let at = 0; at < pixels.length; ) {
    const group = groups.at(at % width, Math.floor(at / width));
    const symbol = group[0].read(bits);
    if (symbol < 256) {
      const [red, blue, alpha] = [group[1].read(bits), group[2].read(bits), group[3].read(bits)];
      pixels[at] = (alpha << 24) | (red << 16) | (symbol << 8) | blue;
      keep(pixels[at++]);
    } else if (symbol < 256 + LENGTHS) {
      const length = readNumber(bits, symbol - 256);
      const distance = distanceOf(readNumber(bits, group[4].read(bits)), width);
      if (distance > at || at + length > pixels.length) throw new RangeError("a copy leads outside");
      for (const end = at + length; at < end; at++) {
        pixels[at] = pixels[at - distance];
        keep(pixels[at]);
      }
    } else {
      pixels[at] = cache[symbol - 256 - LENGTHS];
      keep(pixels[at++]);
    }
  }
  return pixels;
}

/** A length or distance, from the symbol that stands for its upper bits. */
function readNumber(bits: Bits, symbol: number): number {
  if (symbol < 4) return symbol + 1;
  const extra = (symbol - 2) >> 1;
  return ((2 + (symbol & 1)) << extra) + bits.read(extra) + 1;
}

function distanceOf(code: number, width: number): number {
  if (code > PLANE_CODES) return code - PLANE_CODES;
  const place = parseInt(NEAR[code - 1], 16);
  return Math.max(1, (place >> 4) * width + 8 - (place & 15));
}
