/** What a page and its worker tell each other. `id` is the number of a picture. */

import type { DecodingOptions, Pixels } from "../decoding.js";

/** Where the worker finds what it needs, as whole URLs. */
export interface Setup {
  /** Of the model file. */
  readonly model: string;
  /** Of the folder with ONNX Runtime's WebAssembly. */
  readonly runtime: string;
  /** Threads, where the page is isolated; undefined for one a core, up to four. */
  readonly threads?: number;
}

/** How one picture is decoded. */
export interface Request extends DecodingOptions {
  /** Steps after which it is enough. */
  readonly steps?: number;
  /** Whether pictures come as ImageBitmap. */
  readonly bitmap?: boolean;
  /** Pictures to show: as many as leave most of the time to decoding, that of each step, or only the last. */
  readonly pace?: "some" | "every" | "last";
}

export type ToWorker =
  | { readonly kind: "setup"; readonly setup: Setup }
  | { readonly kind: "open"; readonly id: number; readonly request: Request }
  | { readonly kind: "bytes"; readonly id: number; readonly bytes: Uint8Array }
  | { readonly kind: "end"; readonly id: number }
  | { readonly kind: "close"; readonly id: number };

/** A picture after some steps. */
export interface Shown {
  readonly pixels: Pixels | ImageBitmap;
  /** Segments of the file that it shows. */
  readonly steps: number;
  /** Bytes of the file that it took. */
  readonly bytes: number;
  /** Whether it is a first, smaller picture, to be enlarged. */
  readonly preview: boolean;
}

/** What the worker waits for, once it shows all that it can. */
export interface Waiting {
  /** Bytes that have come. */
  readonly received: number;
  /** Where the first step begins, if that is known. */
  readonly begin: number | undefined;
  /** Bytes up to the end of the next part, as far as is known: at least one more than have come. */
  readonly needed: number;
}

export type FromWorker =
  | { readonly kind: "picture"; readonly id: number; readonly shown: Shown }
  | { readonly kind: "waiting"; readonly id: number; readonly waiting: Waiting }
  | { readonly kind: "done"; readonly id: number }
  | { readonly kind: "error"; readonly id: number; readonly name: string; readonly message: string };
