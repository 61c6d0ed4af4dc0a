import assert from "node:assert/strict";
import { test } from "node:test";
import { Answers } from "../src/answers";
import { answer } from "./samples";

test("each document has its last answer", () => {
  const answers = new Answers();
  answers.put(answer({ id: "a" }));
  answers.put(answer({ id: "b" }));
  assert.equal(answers.of("file:///shop/gift.py")?.id, "b");
  assert.equal(answers.of("file:///other.py"), undefined);
  assert.equal(answers.of(undefined), undefined);
});

test("what was long ago is let go", () => {
  const answers = new Answers();
  for (let number = 0; number < 500; number += 1) {
    answers.put(answer({ uri: `file:///${number}.py` }));
  }
  assert.equal(answers.of("file:///0.py"), undefined);
  assert.ok(answers.of("file:///499.py"));
});
