/**
 * The decoder without a page: everything from bytes to pixels, for Node, a worker of your own, or tests.
 *
 * `Convolver.fastest(() => import("onnxruntime-web/wasm"))` finds what convolves, `Model.read(bytes)` takes a model file, and
 * `decodeBytes` does the rest.
 */

import { Decoding, type DecodingOptions, type Pixels, checkHeader } from "./decoding.js";
import { Incoming } from "./format/parts.js";
import type { Model } from "./model/model.js";
import type { Convolver } from "./network/convolution.js";

export { Decoding, MAX_PIXELS, checkHeader } from "./decoding.js";
export type { DecodingOptions, Pixels } from "./decoding.js";
export type { Fill } from "./coding/steps.js";
export { CdrError, ModelError, TruncatedError } from "./format/errors.js";
export { type Header, hasAlpha, isGrey, parseHeader } from "./format/header.js";
export { Incoming } from "./format/parts.js";
export { type Budget, truncate } from "./format/truncate.js";
export { RangeDecoder, distributionOf } from "./coding/range_decoder.js";
export { budgetOf } from "./page/budget.js";
export { Model } from "./model/model.js";
export { Sha256 } from "./model/sha256.js";
export { Convolver, type Path } from "./network/convolution.js";
export type { Runtime } from "./network/ort_kernel.js";

/** The picture in a whole file. Throws CdrError. */
export async function decodeBytes(
  model: Model,
  convolver: Convolver,
  file: Uint8Array,
  options: DecodingOptions = {},
): Promise<Pixels> {
  const incoming = new Incoming();
  incoming.push(file);
  if (!incoming.header) incoming.end();
  const header = incoming.header!;
  checkHeader(header, options.maxPixels);
  const segments: Uint8Array[] = [];
  for (let next = incoming.nextSegment(); next; next = incoming.nextSegment()) segments.push(next);
  incoming.end();
  const decoding = new Decoding(model, convolver, header, incoming.chunks, options);
  for (const segment of segments) await decoding.take(segment);
  return decoding.pixels();
}
