/** Pictures that arrive on a slow line. */

import "cdraw/element";
import type { CdrawImage, ElementProgress } from "cdraw/element";
import { bytesAsText, find } from "./page.js";
import { throttle } from "./throttle.js";

const PICTURES = [
  { name: "parrots", title: "Parrots", alt: "Two parrots", kind: "wide" },
  { name: "statue", title: "Statue", alt: "A statue before a house", kind: "narrow" },
  { name: "guitar", title: "Guitar", alt: "A red guitar on a stage", kind: "narrow" },
  { name: "motorbikes", title: "Motorbikes", alt: "Motorbikes in a race", kind: "wide" },
];
const FILES: Record<string, string> = { guitar: "example" };

/** Show them, and again whenever the line changes. */
export function showGallery(): void {
  const rate = find("rate", HTMLSelectElement);
  throttle(() => Number(rate.value));
  rate.addEventListener("change", load);
  find("again", HTMLButtonElement).addEventListener("click", load);
  load();
}

function load(): void {
  const figures = PICTURES.map(({ name, title, alt, kind }) => {
    const figure = document.createElement("figure");
    figure.className = kind;
    const image = document.createElement("cdraw-img") as CdrawImage;
    image.setAttribute("alt", alt);
    image.setAttribute("loading", "lazy");
    image.setAttribute("src", `pictures/${FILES[name] ?? name}.cdr`);
    const [bar, caption, label, figures] = ["div", "figcaption", "span", "span"].map((tag) => document.createElement(tag));
    bar.className = "bar";
    bar.append(document.createElement("i"));
    label.textContent = title;
    caption.append(label, figures);
    for (const type of ["progress", "load"]) {
      image.addEventListener(type, (event) => tell((event as CustomEvent<ElementProgress>).detail, bar, figures));
    }
    image.addEventListener("error", (event) => {
      figures.textContent = (event as unknown as CustomEvent<Error>).detail.message;
    });
    figure.append(image, bar, caption);
    return figure;
  });
  find("pictures", HTMLElement).replaceChildren(...figures);
}

function tell({ steps, bytes, total }: ElementProgress, bar: Element, figures: Element): void {
  (bar.firstElementChild as HTMLElement).style.width = `${(100 * bytes) / (total ?? bytes)}%`;
  figures.textContent = `step ${steps}, ${bytesAsText(bytes)}${total ? ` of ${bytesAsText(total)}` : ""}`;
}
