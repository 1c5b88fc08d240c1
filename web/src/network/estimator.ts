/** Section 3 of docs/format.md, the estimator: what the picture most likely is, which a decoder shows. */

import type { Model } from "../model/model.js";
import { type Bytes, ZERO_POINT, addTo, newBytes } from "./bytes.js";
import type { Convolver } from "./convolution.js";
import { meansAround } from "./features.js";
import type { Planes } from "./pyramid.js";

const PLANE_LIMIT = 2 ** 14 - 1; // of what is looked at, and of the answer

/** What the picture most likely is after step t was begun, from what the canvas shows. Overwrites the planes. */
export async function estimate(model: Model, convolver: Convolver, t: number, planes: Planes): Promise<Planes> {
  const { estimatorStride: stride, estimatorLayers, steps } = model.config;
  const { cell } = steps[t];
  const { data } = planes;
  for (let i = 0; i < data.length; i++) {
    data[i] = data[i] < -PLANE_LIMIT ? -PLANE_LIMIT : data[i] > PLANE_LIMIT ? PLANE_LIMIT : data[i];
  }
  const entry = model.convolution("estimator.entry");
  const bias = model.biasOfStep("estimator.biases", t, entry.outputs);
  let x = await convolver.run(entry, [{ bytes: inCells(planes, stride, cell), outside: ZERO_POINT }], bias);
  for (let i = 0; i < estimatorLayers - 2; i++) {
    const name = `estimator.hidden.${i}`;
    const hidden = model.convolution(name);
    addTo(x, await convolver.run(hidden, [{ bytes: x, outside: 0 }], model.bias(`${name}.bias`, hidden.outputs)));
  }
  const exit = model.convolution("estimator.exit");
  x = await convolver.run(exit, [{ bytes: x, outside: 0 }], model.bias("estimator.exit.bias", exit.outputs));
  addPatches(planes, x, stride, cell);
  return planes;
}

/** Calls back for each plane and row of squares: where it begins in the planes. */
function eachSquare(planes: Planes, stride: number, call: (at: number, plane: number, position: number) => void): void {
  const { height, width } = planes;
  for (let plane = 0; plane < 3; plane++) {
    for (let y = 0, position = 0; y < height; y += stride) {
      for (let x = 0; x < width; x += stride) call((plane * height + y) * width + x, plane, position++);
    }
  }
}

/** Pixels less the mean of the 5x5 squares about theirs, in 1/16 of a cell, about 128. */
function inCells(planes: Planes, stride: number, cell: number): Bytes {
  const { data, width } = planes;
  const [rows, columns, pixels] = [planes.height / stride, width / stride, stride * stride];
  const sums = [0, 1, 2].map(() => new Float64Array(rows * columns));
  eachSquare(planes, stride, (at, plane, position) => {
    let sum = 0;
    for (let r = 0; r < stride; r++) for (let c = 0; c < stride; c++) sum += data[at + r * width + c];
    sums[plane][position] = sum;
  });
  const means = sums.map((each) => meansAround(each, rows, columns, pixels));
  const result = newBytes(rows, columns, 3 * pixels);
  const [seen, half] = [result.data, cell >> 1];
  eachSquare(planes, stride, (at, plane, position) => {
    const mean = means[plane][position];
    let to = position * 3 * pixels + plane * pixels;
    for (let r = 0; r < stride; r++) {
      for (let c = 0; c < stride; c++) {
        const found = Math.floor(((data[at + r * width + c] - mean) * 16 + half) / cell);
        seen[to++] = ZERO_POINT + (found < -127 ? -127 : found > 127 ? 127 : found);
      }
    }
  });
  return result;
}

/** Add what the network answers, in 1/64 of a cell about 128, in place. */
function addPatches(planes: Planes, answer: Bytes, stride: number, cell: number): void {
  const { data, width } = planes;
  const pixels = stride * stride;
  const answers = answer.data;
  const added = Float64Array.from({ length: 256 }, (_, byte) => Math.floor(((byte - ZERO_POINT) * cell + 32) / 64));
  eachSquare(planes, stride, (at, plane, position) => {
    let from = position * 3 * pixels + plane * pixels;
    for (let r = 0; r < stride; r++) {
      for (let c = 0; c < stride; c++) {
        const sum = data[at + r * width + c] + added[answers[from++]];
        data[at + r * width + c] = sum < -PLANE_LIMIT ? -PLANE_LIMIT : sum > PLANE_LIMIT ? PLANE_LIMIT : sum;
      }
    }
  });
}
