/** The demo page. */

import { prepare } from "cdraw";
import { showCuts } from "./cuts.js";
import { takeFiles } from "./drop.js";
import { showGallery } from "./gallery.js";

prepare();
for (const begin of [() => void showCuts("pictures/example.cdr"), showGallery, takeFiles]) {
  await new Promise((resolve) => setTimeout(resolve)); // each in a task of its own, so that the page is not held up
  begin();
}
for (const section of document.querySelectorAll(".later")) {
  await new Promise((resolve) => requestAnimationFrame(resolve)); // each in a layout of its own
  section.classList.remove("later");
}
