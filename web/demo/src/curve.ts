/** The curve of quality over steps, drawn above the slider. */

import type { Cut } from "./cuts.js";

const [WIDTH, HEIGHT] = [600, 150];
const LOWEST = 15; // decibels at the bottom

/** Draw the curve of all cuts, and a line where one of them is. */
export function drawCurve(svg: SVGSVGElement, cuts: readonly Cut[], here: Cut): void {
  const known = cuts.filter(({ psnr }) => Number.isFinite(psnr));
  const highest = Math.max(...known.map(({ psnr }) => psnr), 40) + 2;
  const x = (cut: Cut) => (WIDTH * cuts.indexOf(cut)) / Math.max(cuts.length - 1, 1);
  const y = ({ psnr }: Cut) => HEIGHT - (HEIGHT * (Math.min(psnr, highest) - LOWEST)) / (highest - LOWEST);
  const points = cuts.filter(({ psnr }) => !Number.isNaN(psnr)).map((cut) => `${x(cut).toFixed(1)},${y(cut).toFixed(1)}`);
  const parts = [line(x(here), points.length ? y(here) : 0)];
  if (points.length > 1) {
    parts.unshift(path("area", `M0,${HEIGHT} L${points.join(" L")} L${WIDTH},${HEIGHT} Z`));
    parts.push(path("curve", `M${points.join(" L")}`));
  }
  svg.replaceChildren(...parts);
}

function path(name: string, d: string): SVGElement {
  return shape("path", { class: name, d });
}

function line(x: number, y: number): SVGElement {
  return shape("line", { class: "here", x1: String(x), x2: String(x), y1: String(y), y2: String(HEIGHT) });
}

function shape(name: string, attributes: Record<string, string>): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
