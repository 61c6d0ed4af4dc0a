// Bundles the extension, or with --tests the unit tests.
//
// The language client is a bundle of its own: it is a hundred times our size, and is read only once `vicinal` was found.
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const flags = new Set(process.argv.slice(2));
const tests = flags.has("--tests");
const outdir = tests ? "build/tests" : "dist";
rmSync(outdir, { recursive: true, force: true });

await build({
  entryPoints: tests ? readdirSync("test").filter((name) => name.endsWith(".test.ts")).map((name) => `test/${name}`) : ["src/extension.ts", "src/client.ts"],
  outdir,
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode", "./client.js"],
  minify: flags.has("--production"),
  sourcemap: false,
  logLevel: "warning",
});
