import assert from "node:assert/strict";
import { test } from "node:test";
import { environmentOf, serverOptions, SERVER_KEYS } from "../src/options";
import manifest from "../package.json";

const PROPERTIES = Object.assign({}, ...manifest.contributes.configuration.map((part) => part.properties)) as Record<string, { default: unknown }>;
const OURS = ["confidenceMark", "command", "package", "model", "environment", "logLevel"];

test("each setting is the server's or ours", () => {
  const keys = Object.keys(PROPERTIES).map((key) => key.replace("vicinal.", ""));
  assert.deepEqual(keys.toSorted(), [...SERVER_KEYS, ...OURS].toSorted());
});

test("the server hears its settings, and always tells of its answers", () => {
  const options = serverOptions((key) => PROPERTIES[`vicinal.${key}`]?.default);
  assert.deepEqual(Object.keys(options).toSorted(), [...SERVER_KEYS, "notify"].toSorted());
  assert.equal(options["notify"], true);
});

test("the model goes by the environment, and the user's own variables come last", () => {
  assert.deepEqual(environmentOf({ PATH: "/bin", GONE: undefined }, "", {}), { PATH: "/bin" });
  assert.deepEqual(environmentOf({ A: "1" }, "tiny", { A: "2" }), { A: "2", VICINAL_MODEL_NAME: "tiny" });
});
