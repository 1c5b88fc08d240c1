/** Decoding by a call. */

import type { DecodingOptions } from "../decoding.js";
import { CdrError } from "../format/errors.js";
import { HEADER_BYTES, type Header, parseHeader } from "../format/header.js";
import { type Budget, truncate as cut } from "../format/truncate.js";
import { Remote } from "./client.js";
import type { Shown } from "./protocol.js";
import { type Source, bytesOf } from "./source.js";

/** A picture on its way. */
export interface Progress {
  /** What is known so far: (height, width, 4) levels. */
  readonly image: ImageData;
  /** Steps and bytes of the file that it shows. */
  readonly steps: number;
  readonly bytes: number;
  /** Whether it is a first, smaller picture, to be enlarged. */
  readonly preview: boolean;
}

/** What `decode` may be told. */
export interface DecodeOptions extends DecodingOptions {
  /** Decode no more than so many steps; all that are there unless it is given. */
  readonly steps?: number;
  /** Read no more than so many bytes: what they hold of the picture is decoded, in whole steps. */
  readonly maxBytes?: number;
  /** Called with each better picture, as the bytes arrive. */
  readonly onProgress?: (progress: Progress) => void;
  /** Whether `onProgress` gets the picture of each step, though that takes longer. */
  readonly everyStep?: boolean;
  /** Gives it up. */
  readonly signal?: AbortSignal;
}

/** Raised where a file ends early or is damaged. `best` is the picture up to there, if there is one. */
export class DecodeError extends CdrError {
  override name = "DecodeError";

  constructor(
    message: string,
    readonly best: ImageData | undefined,
  ) {
    super(message);
  }
}

/**
 * The picture in a file. The work is done in a worker.
 *
 * Rejects with DecodeError for a file that is damaged, ends early or is of another model, with ModelError for a model that
 * cannot be had, with what `fetch` rejects with if nothing was decoded before, and with the reason of the signal.
 */
export function decode(source: Source, options: DecodeOptions = {}): Promise<ImageData> {
  const { onProgress, everyStep, signal, maxBytes, steps, fill, seed, maxPixels } = options;
  return new Promise((resolve, reject) => {
    let best: ImageData | undefined;
    let lost: Error | undefined; // why no more bytes came
    const controller = new AbortController();
    const finish = (settle: () => void) => {
      signal?.removeEventListener("abort", aborted);
      controller.abort();
      settle();
    };
    const remote = new Remote(
      { steps, fill, seed, maxPixels, pace: onProgress ? (everyStep ? "every" : "some") : "last" },
      {
        picture: (shown) => {
          const image = imageOf(shown);
          if (!shown.preview) best = image;
          onProgress?.({ image, steps: shown.steps, bytes: shown.bytes, preview: shown.preview });
        },
        done: () => finish(() => (best ? resolve(best) : reject(new DecodeError("it shows nothing", undefined)))),
        failed: (error) => {
          const enough = maxBytes !== undefined && best && error.name === "TruncatedError" && !lost;
          finish(() => (enough ? resolve(best!) : reject(lost ? cutOff(lost, best) : errorOf(error, best))));
        },
      },
    );
    const aborted = () => {
      remote.close();
      finish(() => reject(signal!.reason));
    };
    if (signal?.aborted) return aborted();
    signal?.addEventListener("abort", aborted);
    feed(remote, bytesOf(source, maxBytes, controller.signal)).catch((error) => {
      lost = error as Error;
      remote.end(); // what came is shown
    });
  });
}

/** Why the bytes of a file stopped: as it is, if nothing was decoded before. */
function cutOff(lost: Error, best: ImageData | undefined): Error {
  return best ? new DecodeError(`it was cut off on its way (${lost.message})`, best) : lost;
}

/** What is wrong with a file is a DecodeError; with the model, or the worker, it is not. */
function errorOf(error: Error, best: ImageData | undefined): Error {
  return error instanceof CdrError || best ? new DecodeError(error.message, best) : error;
}

async function feed(remote: Remote, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const part of bytes) remote.push(part);
  remote.end();
}

function imageOf({ pixels }: Shown): ImageData {
  const { data, width, height } = pixels as Exclude<Shown["pixels"], ImageBitmap>;
  return new ImageData(data, width, height);
}

/** The header of a file, of which no more is read. Throws CdrError. */
export async function inspect(source: Source): Promise<Header> {
  let head = new Uint8Array();
  for await (const part of bytesOf(source, HEADER_BYTES)) head = Uint8Array.from([...head, ...part]);
  return parseHeader(head);
}

/** The same picture in fewer bytes: its first `steps` steps, or at most `size` bytes. Needs no model. Throws CdrError. */
export async function truncate(source: Source, budget: Budget): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of bytesOf(source)) parts.push(part);
  return cut(new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()), budget);
}
