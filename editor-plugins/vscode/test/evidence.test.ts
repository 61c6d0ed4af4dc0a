import assert from "node:assert/strict";
import { test } from "node:test";
import { evidenceLine, explanation } from "../src/evidence";
import { answer } from "./samples";

const PIECE = {
  uri: "file:///shop/refund.py", range: { start: { line: 9, character: 0 }, end: { line: 14, character: 0 } }, path: "refund.py",
  symbol: "RefundHandler.handle", share: 0.71, steps: 2, inPrompt: true,
};

test("a piece of evidence says where it stands, counted from 1, and how it was used", () => {
  assert.equal(evidenceLine(PIECE), "71%  refund.py:10  RefundHandler.handle  (2 steps, read in the prompt)");
  assert.equal(evidenceLine({ ...PIECE, symbol: "", steps: 0, inPrompt: false }), "71%  refund.py:10");
});

test("the explanation has the confidence, the text, the reasons and the evidence", () => {
  const said = explanation(answer({ evidence: [PIECE], reasons: ["the text could go on in several ways"] }));
  for (const part of ["# 62% sure", "total()", "small, tuned for this place, 8 steps", "- the text could go on", "- 71%  refund.py:10", "0.41"]) {
    assert.ok(said.includes(part), part);
  }
});

test("no evidence is said, too", () => {
  assert.ok(explanation(answer()).includes("The open file alone"));
});

test("a text with fences does not end the fence around it", () => {
  assert.ok(explanation(answer({ items: [{ index: 0, text: "````" }] })).includes("`````\n````\n`````"));
});
