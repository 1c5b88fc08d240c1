/** Builds dist/: bundles, types, the model and the runtime. */

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, "dist");
const RUNTIME = dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));

process.chdir(HERE);
rmSync(DIST, { recursive: true, force: true });
mkdirSync(DIST);
await build({
  entryPoints: { core: "src/core.ts" },
  outdir: DIST,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  conditions: ["onnxruntime-web-use-extern-wasm"],
});
