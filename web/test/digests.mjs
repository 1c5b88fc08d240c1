// What each file of the conformance set shows, by fill: SHA-256 as `cdraw selftest` takes it.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const all = JSON.parse(readFileSync(join(ROOT, "convdraw_codec", "conformance", "digests.json"), "utf8"));

/** By file, without the plausible fill, which no browser has. */
export const DIGESTS = Object.fromEntries(
  Object.entries(all).map(([name, { plausible: _, ...expected }]) => [name, expected]),
);
