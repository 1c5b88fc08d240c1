/** One picture in progress: its segments become pixels. */

import { ExactPixels } from "./coding/residual.js";
import { type Levels } from "./coding/levels.js";
import { type Fill, ModelSteps } from "./coding/steps.js";
import { CdrError } from "./format/errors.js";
import { type Header, RESIDUAL_STEPS, hasAlpha, isGrey } from "./format/header.js";
import type { Model } from "./model/model.js";
import type { Convolver } from "./network/convolution.js";
import { decodeGreyPng } from "./pictures/png.js";
import { decodeVp8l } from "./pictures/vp8l.js";

/** Pixels that a picture may have, unless a caller allows more: so much memory is taken at most, about 100 bytes each. */
export const MAX_PIXELS = 2 ** 24;

/** A picture: width and height in pixels; (height, width, 4) levels of red, green, blue and alpha, 0 to 255. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** How a picture is decoded. */
export interface DecodingOptions {
  /** How what is not stored is filled in. */
  readonly fill?: Fill;
  /** Of a sample, below 2^64. */
  readonly seed?: bigint;
  /** Larger pictures are refused. */
  readonly maxPixels?: number;
}

/** Complain about a header that asks for too much, or for another model. Throws CdrError. */
export function checkHeader(header: Header, maxPixels = MAX_PIXELS): void {
  if (header.width * header.height > maxPixels) {
    throw new CdrError(`it has ${header.width}x${header.height} pixels, and ${maxPixels} are allowed`);
  }
}

/** Reads the segments of a file, one after the other. */
export class Decoding {
  /** Segments that were taken. */
  taken = 0;
  private steps: ModelSteps | undefined;
  private exact: ExactPixels | undefined;
  private whole: Pixels | undefined; // from WebP
  private alpha: Uint8Array | undefined;

  /** Takes the memory of the picture. Throws CdrError for a file of another model, or one that is too large. */
  constructor(
    private readonly model: Model,
    private readonly convolver: Convolver,
    private readonly header: Header,
    private readonly chunks: ReadonlyMap<string, Uint8Array>,
    private readonly options: DecodingOptions = {},
  ) {
    checkHeader(header, options.maxPixels);
    if (header.model !== model.fingerprint) {
      throw new CdrError(`it needs the model ${header.model}, and this one is ${model.fingerprint}`);
    }
    if (header.totalSteps !== model.config.steps.length) throw new CdrError("its steps are not those of its model");
    if (header.webp ? false : hasAlpha(header) && !chunks.has("ALPH")) throw new CdrError("it lacks its alpha channel");
    if (header.steps || header.cut) this.steps = new ModelSteps(model, convolver, header);
  }

  /** Take the next segment. Throws CdrError for what no encoder made. */
  async take(payload: Uint8Array): Promise<void> {
    const { header } = this;
    const t = this.taken;
    const cut = t === header.steps && header.cut;
    if (t === header.steps && header.webp) this.whole = fromWebp(payload, header);
    else if (t < header.totalSteps) await this.steps!.take(payload, cut);
    else if (t < header.totalSteps + RESIDUAL_STEPS) await this.residual(t - header.totalSteps, payload, cut);
    else throw new CdrError("it has too many steps");
    this.taken = t + 1;
  }

  /** The picture as it is known so far. After a sample of the prior, no further segment can be taken. */
  async pixels(): Promise<Pixels> {
    const { header } = this;
    if (this.whole) return this.whole;
    if (hasAlpha(header)) {
      this.alpha ??= await decodeGreyPng(this.chunks.get("ALPH")!, header.width, header.height);
    }
    const { fill = "estimate", seed = 0n } = this.options;
    if (!this.exact && fill === "prior") await this.steps!.sample(seed);
    const levels = this.exact?.levels ?? (await this.steps!.shown(fill !== "none"));
    return assembled(levels, header, this.alpha);
  }

  /** A quarter as wide and high or less, and without alpha; made in no time. undefined where there is none. */
  preview(): Pixels | undefined {
    const found = this.steps?.preview();
    if (!found) return undefined;
    const [width, height] = [this.header.width, this.header.height].map((n) => Math.ceil(n / found.side));
    return assembled(found.levels, { ...this.header, width, height });
  }

  private async residual(i: number, payload: Uint8Array, cut: boolean): Promise<void> {
    if (!this.exact) {
      const shown = await this.steps!.shown(true);
      this.exact = new ExactPixels(this.model, this.convolver, shown, isGrey(this.header));
      this.steps = undefined; // and its memory
    }
    await this.exact.step(i, payload, cut);
  }
}

/** The upper left part of padded levels, as pixels. */
function assembled({ data, width: row, height: rows }: Levels, header: Header, alpha?: Uint8Array): Pixels {
  const { width, height } = header;
  const [grey, size] = [isGrey(header), row * rows];
  const result = new Uint8ClampedArray(4 * width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let from = y * row; from < y * row + width; from++, to += 4) {
      const r = data[from];
      const g = data[from + size];
      const b = data[from + 2 * size];
      const mean = grey ? Math.floor((r + g + b + 1) / 3) : 0;
      result[to] = grey ? mean : r;
      result[to + 1] = grey ? mean : g;
      result[to + 2] = grey ? mean : b;
      result[to + 3] = alpha ? alpha[to >> 2] : 255;
    }
  }
  return { width, height, data: result };
}

function fromWebp(stream: Uint8Array, header: Header): Pixels {
  const { width, height } = header;
  const { argb, alpha } = decodeVp8l(stream, width, height);
  const data = new Uint8ClampedArray(4 * width * height);
  const [grey, opaque] = [isGrey(header), !alpha || !hasAlpha(header)];
  for (let i = 0; i < argb.length; i++) {
    const green = (argb[i] >>> 8) & 255;
    data[4 * i] = grey ? green : (argb[i] >>> 16) & 255;
    data[4 * i + 1] = green;
    data[4 * i + 2] = grey ? green : argb[i] & 255;
    data[4 * i + 3] = opaque ? 255 : argb[i] >>> 24;
  }
  return { width, height, data };
}
