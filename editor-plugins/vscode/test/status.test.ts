import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "../src/messages";
import { lookOf, percent, reached, stateOf } from "../src/status";
import type { State } from "../src/status";
import { answer } from "./samples";

const looks = (state: State, last?: Answer): [string, string] => [lookOf(state, last).text, lookOf(state, last).severity];

test("the server's words become states", () => {
  const told = { busy: false, hint: "do this" };
  assert.deepEqual(stateOf({ ...told, kind: "Normal", message: "ready" }), { kind: "ready" });
  assert.deepEqual(stateOf({ ...told, kind: "Normal", message: "automatic completions are off" }), { kind: "paused", message: "automatic completions are off" });
  assert.deepEqual(stateOf({ ...told, kind: "InProgress", message: "indexing 42 %" }), { kind: "working", message: "indexing 42 %" });
  assert.deepEqual(stateOf({ ...told, kind: "Error", message: "it broke" }), { kind: "error", message: "it broke", hint: "do this" });
});

test("the status bar says each state, and how sure the last answer was", () => {
  assert.deepEqual(looks({ kind: "ready" }), ["$(sparkle) Vicinal", "none"]);
  assert.deepEqual(looks({ kind: "ready" }, answer({ confidence: 0.624 })), ["$(sparkle) Vicinal 62%", "none"]);
  assert.deepEqual(looks({ kind: "working", message: "tuning" }, answer({ confidence: 1 })), ["$(sync~spin) Vicinal: tuning 100%", "none"]);
  assert.deepEqual(looks({ kind: "paused", message: "off" }), ["$(debug-pause) Vicinal: paused", "none"]);
  assert.deepEqual(looks({ kind: "warning", message: "x", hint: "" }), ["$(warning) Vicinal: warning", "warning"]);
  assert.deepEqual(looks({ kind: "error", message: "x", hint: "" }), ["$(error) Vicinal: error", "error"]);
  assert.deepEqual(looks({ kind: "missing", message: "x", hint: "" }), ["$(error) Vicinal: not installed", "error"]);
});

test("the tooltip says what to do, and why an answer was not shown or is not surer", () => {
  const { tooltip } = lookOf({ kind: "error", message: "no model", hint: "run vicinal doctor" }, answer({ shown: "3% sure, and minConfidence is 5%", reasons: ["nothing like it"] }));
  for (const part of ["no model", "run vicinal doctor", "not shown: 3% sure", "nothing like it"]) {
    assert.ok(tooltip.includes(part), part);
  }
});

test("who cannot see the icon hears the same", () => {
  assert.equal(lookOf({ kind: "working", message: "indexing 42 %" }, answer({ confidence: 0.5 })).spoken, "Vicinal: indexing 42 %, last suggestion 50% sure");
});

test("the first steps go on as the daemon does", () => {
  assert.deepEqual(reached({ kind: "starting" }), { model: false, index: false });
  assert.deepEqual(reached({ kind: "working", message: "loading the model" }), { model: false, index: false });
  assert.deepEqual(reached({ kind: "working", message: "indexing 7 %" }), { model: true, index: false });
  assert.deepEqual(reached({ kind: "ready" }), { model: true, index: true });
  assert.deepEqual(reached({ kind: "error", message: "", hint: "" }), { model: false, index: false });
});

test("a probability out of range is no reason to show nonsense", () => {
  assert.deepEqual([percent(-1), percent(0), percent(0.005), percent(2)], ["0%", "0%", "1%", "100%"]);
});
