/** The drop zone, which shows .cdr files. */

import { decode, inspect } from "cdraw";
import { bytesAsText, draw, find } from "./page.js";

let current: AbortController | undefined;

/** Take files that are dropped or chosen. */
export function takeFiles(): void {
  const [zone, input] = [find("drop", HTMLElement), find("file", HTMLInputElement)];
  input.addEventListener("change", () => input.files?.[0] && void showFile(input.files[0]));
  for (const type of ["dragover", "dragleave", "drop"] as const) {
    zone.addEventListener(type, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", type === "dragover");
    });
  }
  zone.addEventListener("drop", ({ dataTransfer }) => {
    const file = dataTransfer?.files[0];
    if (file) void showFile(file);
  });
}

async function showFile(file: File): Promise<void> {
  current?.abort();
  const { signal } = (current = new AbortController());
  const [canvas, said] = [find("dropped", HTMLCanvasElement), find("said", HTMLElement)];
  const paint = (image: ImageData) => {
    draw(canvas, image);
    canvas.hidden = false;
    find("hint", HTMLElement).hidden = true;
  };
  try {
    const { width, height, mode, steps } = await inspect(file);
    canvas.style.width = `${width}px`; // also of a preview
    said.textContent = `${file.name}: ${width} × ${height}, ${mode}, ${steps} steps, ${bytesAsText(file.size)}.`;
    paint(await decode(file, { signal, onProgress: ({ image }) => paint(image) }));
  } catch (error) {
    if (!signal.aborted) said.textContent = `${file.name} cannot be shown: ${(error as Error).message}.`;
  }
}
