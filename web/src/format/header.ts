/** Section 1 of docs/format.md: the header of a file. */

import { crc32 } from "./crc32.js";
import { CdrError, TruncatedError } from "./errors.js";

export const HEADER_BYTES = 32;
export const RESIDUAL_STEPS = 12; // that may follow those of the model
const FIXED_BYTES = 26; // what no cut changes
const MAGIC = [0xcd, 0x43, 0x44, 0x52];
const VERSION = 6;
const MODES = ["RGB", "L", "RGBA", "LA"] as const;
const METADATA_BYTES = 2 ** 24; // that a part may have, ...
const PIXEL_BYTES = 16; // ... and as many more for each pixel

/** What a file says before its chunks and segments. */
export interface Header {
  /** Pixels, 1 to 65,535. */
  readonly width: number;
  readonly height: number;
  /** "RGB", "L" (grey), or either with "A" (alpha). */
  readonly mode: (typeof MODES)[number];
  /** Steps that are stored whole. */
  readonly steps: number;
  /** Steps of the model; 12 residual ones may follow. */
  readonly totalSteps: number;
  /** Fingerprint of the model that decodes it, 16 hexadecimal digits. */
  readonly model: string;
  /** Whether a part of one more step follows the whole ones. */
  readonly cut: boolean;
  /** Whether the picture itself follows the steps, as lossless WebP. */
  readonly webp: boolean;
  readonly chunks: number;
  /** Mean levels of red, green and blue, 0 to 255. */
  readonly mean: readonly number[];
  /** x, y and z of the rotation of colours, -128 to 127. */
  readonly rotation: readonly number[];
  /** The bytes themselves. */
  readonly bytes: Uint8Array;
}

/** How many segments a file has, whole or in part. */
export function segmentsOf(header: Header): number {
  return header.steps + Number(header.cut) + Number(header.webp);
}

/** Whether the picture has no colour. */
export function isGrey(header: Header): boolean {
  return header.mode[0] === "L";
}

/** Whether the picture has an alpha channel. */
export function hasAlpha(header: Header): boolean {
  return header.mode.endsWith("A");
}

/** Bytes that a chunk or segment may have. */
export function largestPart(header: Header): number {
  return METADATA_BYTES + PIXEL_BYTES * header.width * header.height;
}

/** The checksum with which that of chunks and segments starts. */
export function chainOf(header: Header): number {
  return crc32(header.bytes.subarray(0, FIXED_BYTES));
}

/** Read and check the header, the first 32 bytes of a file. Throws CdrError. */
export function parseHeader(data: Uint8Array): Header {
  if (!data.length) throw new CdrError("it is empty");
  if (MAGIC.some((byte, i) => i < data.length && data[i] !== byte)) throw new CdrError("it is not a .cdr file");
  if (data.length < HEADER_BYTES) throw new TruncatedError("it ends inside its header, so nothing can be decoded", 0);
  if (data[4] !== VERSION) {
    throw new CdrError(`it has format version ${data[4]}, and this program reads version ${VERSION}`);
  }
  const bytes = data.slice(0, HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  if (crc32(bytes.subarray(0, 28)) !== view.getUint32(28, true)) {
    throw new CdrError("its header is damaged (checksum mismatch)");
  }
  const [steps, follows] = [bytes[26], bytes[27]];
  const header: Header = {
    width: view.getUint16(14, true),
    height: view.getUint16(16, true),
    mode: MODES[bytes[13]],
    steps,
    totalSteps: bytes[18],
    model: Array.from(bytes.subarray(5, 13), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    cut: follows === 1,
    webp: follows === 2,
    chunks: bytes[19],
    mean: Array.from(bytes.subarray(20, 23)),
    rotation: Array.from(new Int8Array(bytes.buffer, 23, 3)),
    bytes,
  };
  if (!isSensible(header, follows)) throw new CdrError("its header makes no sense");
  return header;
}

function isSensible(header: Header, follows: number): boolean {
  if (!header.mode || !header.width || !header.height || !header.totalSteps || follows > 2) return false;
  const segments = segmentsOf(header);
  const twice = header.webp && header.steps > 0 && hasAlpha(header); // the alpha channel would have to come
  return segments >= 1 && segments <= header.totalSteps + RESIDUAL_STEPS && !twice;
}

/** The header of the same file with other segments. */
export function withSegments(header: Header, steps: number, cut: boolean): Uint8Array {
  const bytes = header.bytes.slice();
  bytes[26] = steps;
  bytes[27] = Number(cut);
  new DataView(bytes.buffer).setUint32(28, crc32(bytes.subarray(0, 28)), true);
  return bytes;
}
