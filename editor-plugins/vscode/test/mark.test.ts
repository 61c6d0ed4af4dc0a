import assert from "node:assert/strict";
import { test } from "node:test";
import { markOf } from "../src/mark";

test("a circle fills by thirds", () => {
  assert.deepEqual([0, 0.33, 0.34, 0.66, 0.67, 1].map((sure) => markOf("subtle", sure)), ["○", "○", "◐", "◐", "●", "●"]);
});

test("the number stands beside it only if wanted", () => {
  assert.equal(markOf("full", 0.62), "◐ 62%");
  assert.equal(markOf("off", 0.62), "");
});

test("what is no probability breaks nothing", () => {
  assert.deepEqual([markOf("subtle", -1), markOf("subtle", 7)], ["○", "●"]);
});
