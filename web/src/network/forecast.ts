/** Section 3 of docs/format.md, the forecast: where coefficients of the finest layer most likely lie. */

import type { Model } from "../model/model.js";
import { type Bytes, type Seen, ZERO_POINT, addTo, inByte, join, newBytes, split } from "./bytes.js";
import type { Convolver } from "./convolution.js";
import { lowInCells } from "./features.js";
import { type Planes, newPlanes } from "./pyramid.js";

export const LOW_LIMIT = 2 ** 16; // of the smaller picture
const LOW_CHANNELS = 12; // of the smaller picture, in a position
const HALVES = Uint8Array.from(new Int16Array(2 ** 16).map((_, i) => i), (k) => inByte(2 * k + Math.sign(k))); // of all k

export interface Forecast {
  /** (height, width, coefficients), less 128; then channels of the smaller picture, if there is one. */
  readonly answer: Bytes;
  /** The smaller picture as it most likely is. */
  readonly smaller: Planes | undefined;
}

/** Before step t. known: (height, width, coefficients) of the finest layer. low: the smaller picture. */
export async function forecast(
  model: Model,
  convolver: Convolver,
  t: number,
  known: { readonly height: number; readonly width: number; readonly data: Int16Array },
  low: Planes | undefined,
): Promise<Forecast> {
  const { forecastLayers, steps } = model.config;
  const { cell } = steps[t - 1];
  const run = (name: string, bytes: Bytes) => {
    const convolution = model.convolution(name);
    return convolver.run(convolution, [{ bytes, outside: 0 }], model.bias(`${name}.bias`, convolution.outputs));
  };
  const seen: Seen[] = [{ bytes: split(await run("forecast.entry", halves(known))), outside: ZERO_POINT }];
  if (low) seen.push({ bytes: lowInCells(low, LOW_LIMIT, 8 * cell), outside: ZERO_POINT });
  const mix = model.convolution("forecast.mix");
  const x = await convolver.run(mix, seen, model.biasOfStep("forecast.biases", t, mix.outputs));
  for (let i = 0; i < forecastLayers - 1; i++) addTo(x, await run(`forecast.hidden.${i}`, x));
  const answer = await run("forecast.exit", join(x));
  return { answer, smaller: low && moved(low, answer, cell) };
}

/** Where the middles of cells are, in halves of their width, about 128. */
function halves({ height, width, data }: { height: number; width: number; data: Int16Array }): Bytes {
  const result = newBytes(height, width, data.length / (height * width));
  const bytes = result.data;
  for (let i = 0; i < data.length; i++) bytes[i] = HALVES[data[i] & 0xffff];
  return result;
}

/** The smaller picture, moved by the last channels of the answer. */
function moved(low: Planes, { data, channels, height, width }: Bytes, cell: number): Planes {
  const result = newPlanes(low.height, low.width);
  for (let position = 0; position < height * width; position++) {
    const [y, x] = [2 * Math.floor(position / width), 2 * (position % width)];
    const from = (position + 1) * channels - LOW_CHANNELS;
    for (let i = 0; i < LOW_CHANNELS; i++) {
      const corner = Math.floor(i / 3);
      const to = ((i % 3) * low.height + y + (corner >> 1)) * low.width + x + (corner & 1);
      result.data[to] = low.data[to] + Math.floor(((data[from + i] - ZERO_POINT) * cell + 32) / 64);
    }
  }
  return result;
}
