/** The slider over bytes: a picture of each step, and the curve of their quality. */

import { decode } from "cdraw";
import { drawCurve } from "./curve.js";
import { bytesAsText, draw, find, withCommas } from "./page.js";

/** A cut of the file. */
export interface Cut {
  readonly image: ImageData;
  readonly steps: number;
  readonly bytes: number;
  /** In decibels to the whole file's picture; infinite for that itself, NaN until it is known. */
  psnr: number;
}

const AT_ONCE = 2 ** 17; // numbers that are compared
const cuts: Cut[] = [];
const samples = new Map<number, ImageData>(); // by steps
let file = new Uint8Array();

const slider = () => find("slider", HTMLInputElement);
const state = () => find("state", HTMLElement);

/** Decode all steps of a file, the curve growing with them. */
export async function showCuts(url: string): Promise<void> {
  slider().addEventListener("input", show);
  for (const choice of document.querySelectorAll("input[name=fill]")) choice.addEventListener("change", show);
  try {
    file = new Uint8Array(await (await fetch(url)).arrayBuffer());
    await decode(file, { everyStep: true, onProgress: ({ preview, ...cut }) => take(preview, cut) });
    await compare();
    state().textContent = `${cuts.length} cuts, all from these ${bytesAsText(file.length)}.`;
  } catch (error) {
    state().textContent = `The picture cannot be shown: ${(error as Error).message}.`;
  }
}

function take(preview: boolean, cut: Omit<Cut, "psnr">): void {
  if (preview) {
    draw(find("picture", HTMLCanvasElement), cut.image);
    return;
  }
  const following = Number(slider().value) === cuts.length - 1; // the handle is at the end, and goes on with it
  cuts.push({ ...cut, psnr: NaN });
  slider().max = String(cuts.length - 1);
  slider().disabled = cuts.length < 2;
  if (following || cuts.length === 1) slider().value = slider().max;
  state().textContent = `Decoded ${cuts.length} steps…`;
  show();
}

/** Show the cut at the handle. */
function show(): void {
  const cut = cuts[Number(slider().value)];
  if (!cut) return;
  const { width, height } = cut.image;
  find("bytes", HTMLElement).textContent = withCommas(cut.bytes);
  find("bpp", HTMLElement).textContent = ((8 * cut.bytes) / (width * height)).toFixed(3);
  find("step", HTMLElement).textContent = `${cut.steps} of ${cuts[cuts.length - 1].steps}`;
  find("psnr", HTMLElement).textContent = quality(cut.psnr);
  find("least", HTMLElement).textContent = bytesAsText(cuts[0].bytes);
  find("most", HTMLElement).textContent = bytesAsText(cuts[cuts.length - 1].bytes);
  drawCurve(find("curve", SVGSVGElement), cuts, cut);
  if (document.querySelector("input[name=fill]:checked[value=sample]")) void showSample(cut);
  else draw(find("picture", HTMLCanvasElement), cut.image);
}

function quality(psnr: number): string {
  return Number.isNaN(psnr) ? "–" : psnr === Infinity ? "the same" : `${psnr.toFixed(1)} dB`;
}

/** Show what the picture could have been. */
async function showSample({ steps, image }: Cut): Promise<void> {
  draw(find("picture", HTMLCanvasElement), samples.get(steps) ?? image);
  if (samples.has(steps)) return;
  state().textContent = "Drawing what is missing from the model…";
  samples.set(steps, await decode(file, { steps, fill: "prior" }));
  state().textContent = "What the file does not hold is drawn from the model: one of many pictures that it allows.";
  show();
}

/** Compare all cuts with the last one. */
async function compare(): Promise<void> {
  const whole = cuts[cuts.length - 1].image.data;
  for (const cut of cuts) cut.psnr = await psnr(cut.image.data, whole);
  show();
}

/** A little at a time, so that the page is not held up. */
async function psnr(a: Uint8ClampedArray, b: Uint8ClampedArray): Promise<number> {
  let sum = 0;
  for (let from = 0; from < a.length; from += AT_ONCE) {
    for (let i = from; i < Math.min(from + AT_ONCE, a.length); i++) sum += (a[i] - b[i]) ** 2;
    await new Promise((resolve) => setTimeout(resolve));
  }
  return 10 * Math.log10((255 ** 2 * 0.75 * a.length) / sum); // alpha is the same
}
