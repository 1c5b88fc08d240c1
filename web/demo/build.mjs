/**
 * Builds the demo page into demo/built/: `npm run demo`. The command `cdraw`, or what the variable CDRAW says, compresses
 * the example photograph.
 */

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "..", "..");
const BUILT = join(HERE, "built");
const KODAK = { parrots: "kodim23", statue: "kodim17", motorbikes: "kodim05" };

process.chdir(HERE);
rmSync(BUILT, { recursive: true, force: true });
mkdirSync(join(BUILT, "pictures"), { recursive: true });
await build({
  absWorkingDir: HERE,
  entryPoints: ["src/demo.ts"],
  outdir: BUILT,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  external: ["cdraw", "cdraw/element"],
});
for (const name of ["index.html", "style.css"]) cpSync(name, join(BUILT, name));
cpSync(join(HERE, "..", "dist"), join(BUILT, "cdraw"), {
  recursive: true,
  filter: (path) => !path.endsWith("types"),
});
for (const [name, file] of Object.entries(KODAK)) {
  cpSync(join(ROOT, "tests", "data", `photo-${file}.cdr`), join(BUILT, "pictures", `${name}.cdr`));
}
const [command, ...first] = (process.env.CDRAW ?? "cdraw").split(" ");
const target = join(BUILT, "pictures", "example.cdr");
try {
  execFileSync(command, [...first, "compress", "--quiet", join(ROOT, "docs", "example.jpg"), "-o", target], { cwd: ROOT });
} catch (error) {
  console.error(`cannot run ${command}: install cdraw, or set CDRAW to its command (${error.message})`);
  process.exit(1);
}
