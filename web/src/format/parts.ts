/** Section 1 of docs/format.md: chunks and segments, as they arrive. */

import { crc32 } from "./crc32.js";
import { CdrError, TruncatedError } from "./errors.js";
import { HEADER_BYTES, type Header, chainOf, largestPart, parseHeader, segmentsOf } from "./header.js";

const NAME_BYTES = 4;
const LENGTH_BYTES = 5; // at most
export const CHECK_BYTES = 3;
const FIRST_ROOM = 4096;

interface Length {
  readonly length: number;
  readonly end: number;
}

/** The length of a part that is written at `offset`; undefined if the data ends first. Throws RangeError. */
function parseLength(data: Uint8Array, offset: number, largest: number): Length | undefined {
  let length = 0;
  for (let i = 0; i < LENGTH_BYTES; i++) {
    if (offset + i >= data.length) return undefined;
    const byte = data[offset + i];
    length += (byte & 127) * 2 ** (7 * i);
    if (length > largest) break;
    if (byte < 128) return { length, end: offset + i + 1 };
  }
  throw new RangeError("nothing in it is so long");
}

/**
 * A file that arrives in pieces: header and chunks first, then one segment after the other, every checksum verified.
 *
 * `push` takes bytes; `header`, `chunks` and `nextSegment` give what has arrived whole so far. No more room is taken
 * than for the bytes that came.
 */
export class Incoming {
  /** Of the file, once its 32 bytes are there. */
  header: Header | undefined;
  /** By their names of four characters. */
  readonly chunks = new Map<string, Uint8Array>();
  /** Bytes that were pushed. */
  received = 0;
  /** Segments that were taken. */
  taken = 0;
  /** Where the first segment begins, once all chunks are there. */
  begin: number | undefined;
  private data = new Uint8Array(FIRST_ROOM);
  private offset = 0; // behind the last part
  private chain = 0;
  private chunksLeft = 0;

  /** Take bytes that follow those before. Throws CdrError for a header that is none, TruncatedError for a damage. */
  push(bytes: Uint8Array): void {
    if (this.received + bytes.length > this.data.length) {
      const room = new Uint8Array(Math.max(2 * this.data.length, this.received + bytes.length));
      room.set(this.data.subarray(0, this.received));
      this.data = room;
    }
    this.data.set(bytes, this.received);
    this.received += bytes.length;
    if (!this.header) {
      if (this.received < HEADER_BYTES) return;
      this.header = parseHeader(this.data.subarray(0, this.received));
      this.chain = chainOf(this.header);
      this.chunksLeft = this.header.chunks;
      this.offset = HEADER_BYTES;
    }
    while (this.chunksLeft) {
      const part = this.part(NAME_BYTES, "one of its chunks");
      if (!part) return;
      const name = String.fromCharCode(...part.name);
      if (!/^[ -~]{4}$/.test(name) || this.chunks.has(name)) throw new CdrError("its chunks make no sense");
      this.chunks.set(name, part.payload);
      this.chunksLeft--;
    }
    if (this.header) this.begin ??= this.offset;
  }

  /** The payload of the next segment; undefined if it has not arrived whole. Throws TruncatedError. */
  nextSegment(): Uint8Array | undefined {
    if (!this.header || this.chunksLeft || this.taken === segmentsOf(this.header)) return undefined;
    const part = this.part(0, `step ${this.taken + 1}`);
    if (part) this.taken++;
    return part?.payload;
  }

  /** Whether the next segment has arrived whole. */
  get hasNext(): boolean {
    if (!this.header || this.chunksLeft || this.taken === segmentsOf(this.header)) return false;
    try {
      const length = parseLength(this.there, this.offset, largestPart(this.header));
      return !!length && length.end + length.length + CHECK_BYTES <= this.received;
    } catch {
      return false;
    }
  }

  /** Bytes of the file up to the end of the next chunk or segment, as far as its length has arrived. */
  get nextEnd(): number | undefined {
    if (!this.header || this.taken === segmentsOf(this.header)) return undefined;
    const start = this.offset + (this.chunksLeft ? NAME_BYTES : 0);
    const length = parseLength(this.there, start, largestPart(this.header));
    return length && length.end + length.length + CHECK_BYTES;
  }

  /** Bytes of the whole parts so far. */
  get consumed(): number {
    return this.offset;
  }

  /** Complain if the file ends here, and should not. Throws TruncatedError, or CdrError for no file at all. */
  end(): void {
    if (!this.header) parseHeader(this.there);
    if (this.chunksLeft || this.taken < segmentsOf(this.header as Header)) {
      const nothing = this.taken ? "" : ", so nothing can be decoded";
      throw new TruncatedError(`it ends inside step ${this.taken + 1}${nothing}`, this.taken);
    }
    if (this.offset < this.received) {
      throw new TruncatedError(`it has ${this.received - this.offset} bytes behind its last step`, this.taken);
    }
  }

  private get there(): Uint8Array {
    return this.data.subarray(0, this.received);
  }

  private part(nameBytes: number, what: string): { name: Uint8Array; payload: Uint8Array } | undefined {
    const start = this.offset + nameBytes;
    let found: Length | undefined;
    try {
      found = parseLength(this.there, start, largestPart(this.header as Header));
    } catch (error) {
      throw new TruncatedError(`it is damaged (${(error as Error).message}) in ${what}`, this.taken);
    }
    const end = found && found.end + found.length;
    if (!found || !end || end + CHECK_BYTES > this.received) return undefined;
    const chain = crc32(this.data.subarray(this.offset, end), this.chain);
    const [low, middle, high] = this.data.subarray(end, end + CHECK_BYTES);
    if ((chain & 0xffffff) !== (low | (middle << 8) | (high << 16))) {
      throw new TruncatedError(`it is damaged (checksum mismatch) in ${what}`, this.taken);
    }
    const name = this.data.slice(this.offset, start);
    this.chain = chain;
    this.offset = end + CHECK_BYTES;
    return { name, payload: this.data.slice(found.end, end) };
  }
}
