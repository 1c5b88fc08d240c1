/** The demo page. */

import { prepare } from "cdraw";
import { showCuts } from "./cuts.js";
import { takeFiles } from "./drop.js";
import { showGallery } from "./gallery.js";

prepare();
void showCuts("pictures/example.cdr");
showGallery();
takeFiles();
