/** Builds dist/: bundles, types, the model and the runtime. */

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import wabt from "wabt";

const HERE = dirname(fileURLToPath(import.meta.url));
const DIST = join(HERE, "dist");
const require = createRequire(import.meta.url);
const RUNTIME = dirname(require.resolve("onnxruntime-web"));

const OWN = '(import "env" "memory" (memory 1))';
const SHARED = '(import "env" "memory" (memory 1 16384 shared))';

/** Makes WebAssembly text its code: `single`, with a memory of its own, and `shared`, with one that threads share. */
const assembler = {
  name: "wat",
  setup({ onLoad }) {
    onLoad({ filter: /\.wat$/ }, async ({ path }) => {
      const { parseWat } = await wabt();
      const assembled = (text) => parseWat(path, text, { simd: true, threads: true }).toBinary({}).buffer;
      const text = readFileSync(path, "utf8");
      const codes = { single: assembled(text), shared: assembled(text.replace(OWN, SHARED)) };
      const lines = Object.entries(codes).map(([name, bytes]) => `export const ${name} = new Uint8Array([${bytes}]);`);
      return { contents: lines.join("\n"), loader: "js" };
    });
  },
};

process.chdir(HERE);
rmSync(DIST, { recursive: true, force: true });
mkdirSync(DIST);
const options = {
  absWorkingDir: HERE,
  outdir: DIST,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  plugins: [assembler],
};
await build({
  ...options,
  entryPoints: { index: "src/index.ts", element: "src/page/element.ts", core: "src/core.ts" },
  splitting: true,
  chunkNames: "[name]-[hash]",
});
// one file each, so that a worker starts without asking for more
await build({ ...options, entryPoints: { worker: "src/page/worker.ts", thread: "src/page/thread.ts" } });
execFileSync(process.execPath, [join("node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json"], { stdio: "inherit" });
mkdirSync(join(DIST, "runtime"));
for (const name of ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]) {
  cpSync(join(RUNTIME, name), join(DIST, "runtime", name));
}
cpSync(join(HERE, "..", "convdraw_codec", "models", "photo.safetensors"), join(DIST, "photo.safetensors"));
