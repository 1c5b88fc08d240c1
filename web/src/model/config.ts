/** Section 2 of docs/format.md: the configuration of a model, every value checked. */

import { ModelError } from "../format/errors.js";
import { RESIDUAL_STEPS } from "../format/header.js";

const MOST = 4096; // channels, layers and strides
const MOST_STEPS = 255 - RESIDUAL_STEPS;
const UNIT = 8; // cells count in 1/8 of a level

export interface Layer {
  /** Pixels on a side of a position. */
  readonly stride: number;
  /** Channels of the state. */
  readonly state: number;
}

export interface Step {
  readonly layer: number;
  /** Width of a cell in 1/8 of a level, even. */
  readonly cell: number;
  /** The coefficients first..last-1. */
  readonly first: number;
  readonly last: number;
  readonly forecast: boolean;
  /** The number of the pass to which it belongs, and whether it is the last of it. */
  readonly pass: number;
  readonly endsPass: boolean;
}

export interface Config {
  readonly layers: readonly Layer[];
  readonly steps: readonly Step[];
  /** 3x3 convolutions of the networks. */
  readonly forecastLayers: number;
  readonly estimatorLayers: number;
  readonly residualLayers: number;
  /** Pixels on a side of a position of the estimator. */
  readonly estimatorStride: number;
}

type Table = Record<string, unknown>;

/** Parse it. Throws ModelError. */
export function parseConfig(json: string): Config {
  try {
    const table = JSON.parse(json) as Record<string, Table & Table[]>;
    const layers = table.layers.map((each: Table) => ({ stride: whole(each.stride), state: whole(each.state) }));
    const fits = layers.every((layer, i) => !i || (layers[i - 1].stride > layer.stride && divides(layers, i)));
    if (!layers.length || layers.length > 16 || !fits || layers[layers.length - 1].stride % 2) throw new RangeError();
    const config = {
      layers,
      steps: withPasses(table.steps.map((each: Table) => parseStep(each, layers.length))),
      forecastLayers: whole(table.forecast.layers),
      estimatorLayers: whole(table.estimator.layers),
      residualLayers: whole(table.residual.layers),
      estimatorStride: whole(table.estimator.stride),
    };
    if (layers[layers.length - 1].stride % config.estimatorStride) throw new RangeError();
    return config;
  } catch {
    throw new ModelError("the configuration of the model makes no sense");
  }
}

function divides(layers: Layer[], i: number): boolean {
  return layers[i - 1].stride % layers[i].stride === 0;
}

function whole(value: unknown, least = 1): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > MOST) throw new RangeError();
  return value as number;
}

type Bare = Omit<Step, "pass" | "endsPass">;

function parseStep(table: Table, layers: number): Bare {
  const [first, last] = [whole(table.first, 0), whole(table.last)];
  const [layer, cell] = [whole(table.layer, 0), (table.quantiser as number) * UNIT];
  if (layer >= layers || first >= last || !Number.isInteger(cell) || cell < 2 || cell % 2 || cell > UNIT * MOST) {
    throw new RangeError();
  }
  return { layer, cell, first, last, forecast: table.forecast === true };
}

/** A pass goes from coarse to fine, and sends no coefficient twice. */
function withPasses(steps: Bare[]): Step[] {
  if (!steps.length || steps.length > MOST_STEPS || steps[0].forecast) throw new RangeError();
  const passes: number[] = [];
  let start = 0;
  steps.forEach((step, t) => {
    const again = steps
      .slice(start, t)
      .some((each) => each.layer === step.layer && each.first < step.last && step.first < each.last);
    const begins = t > 0 && (again || step.layer < steps[t - 1].layer);
    if (begins) start = t;
    passes.push(t ? passes[t - 1] + Number(begins) : 0);
  });
  return steps.map((step, t) => ({ ...step, pass: passes[t], endsPass: passes[t + 1] !== passes[t] }));
}
