/** Cutting a file, which needs no model. */

import { crc32 } from "./crc32.js";
import { CdrError } from "./errors.js";
import { type Header, chainOf, withSegments } from "./header.js";
import { CHECK_BYTES, Incoming } from "./parts.js";

/** How much to keep: whole steps, or bytes. */
export type Budget = { readonly steps: number } | { readonly size: number };

/** Seven bits a byte, least significant first; the high bit says that more follow. */
function packLength(length: number): number[] {
  return length < 128 ? [length] : [(length & 127) | 128, ...packLength(length >>> 7)];
}

function partSize(payload: number): number {
  return packLength(payload).length + payload + CHECK_BYTES;
}

/**
 * The same picture in fewer bytes: with only its first `steps` steps, or in at most `size` bytes, which may cut the last
 * step short. A picture that is stored as lossless WebP is kept whole or left out. Throws CdrError if the file is
 * damaged, stores fewer steps, or cannot become so small.
 */
export function truncate(file: Uint8Array, budget: Budget): Uint8Array {
  const incoming = new Incoming();
  incoming.push(file);
  if (!incoming.header) incoming.end();
  const header = incoming.header!;
  const segments: Uint8Array[] = [];
  for (let next = incoming.nextSegment(); next; next = incoming.nextSegment()) segments.push(next);
  incoming.end();
  if ("size" in budget) return file.length <= budget.size ? file.slice() : cutTo(budget.size, header, incoming, segments);
  if (!(budget.steps >= 1 && budget.steps <= header.steps)) {
    throw new CdrError(`it stores ${header.steps} whole steps, so ${budget.steps} cannot be taken from it`);
  }
  return write(header, incoming.chunks, segments.slice(0, budget.steps), false);
}

function cutTo(size: number, header: Header, { chunks }: Incoming, segments: Uint8Array[]): Uint8Array {
  const empty = write(header, chunks, [], false).length;
  let room = size - empty;
  const kept: Uint8Array[] = [];
  let cut = false;
  for (const segment of segments.slice(0, header.steps + Number(header.cut))) {
    if (partSize(segment.length) <= room) {
      kept.push(segment);
      room -= partSize(segment.length);
      continue;
    }
    let length = room - CHECK_BYTES;
    while (length > 0 && partSize(length) > room) length--;
    cut = length > 0;
    if (cut) kept.push(segment.subarray(0, length));
    break;
  }
  if (!kept.length) throw new CdrError(`it cannot be cut to ${size} bytes: ${empty + CHECK_BYTES + 2} are the least`);
  return write(header, chunks, kept, cut);
}

/** A whole file. */
function write(header: Header, chunks: ReadonlyMap<string, Uint8Array>, segments: Uint8Array[], cut: boolean): Uint8Array {
  const parts = [withSegments(header, segments.length - Number(cut), cut)];
  let chain = chainOf(header);
  const add = (name: string, payload: Uint8Array) => {
    const head = Uint8Array.from([...new TextEncoder().encode(name), ...packLength(payload.length)]);
    chain = crc32(payload, crc32(head, chain));
    parts.push(head, payload, Uint8Array.of(chain & 255, (chain >>> 8) & 255, (chain >>> 16) & 255));
  };
  for (const [name, payload] of chunks) add(name, payload);
  for (const segment of segments) add("", segment);
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
