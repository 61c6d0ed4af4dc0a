import assert from "node:assert/strict";
import { test } from "node:test";
import { advanced, behind } from "../src/offer";
import type { Change, Offer } from "../src/offer";

const OFFER: Offer = {
  uri: "file:///a.py", version: 3, position: { line: 2, character: 8 }, confidence: 0.5, taken: 0,
  texts: [{ accept: { id: "a", index: 0 }, rest: "self.total()\n    pass" }, { accept: { id: "a", index: 1 }, rest: "sum(x)" }],
};
const put = (text: string, position = OFFER.position, length = 0): Change[] => [{ position, length, text }];

test("what is typed of it is no longer to come", () => {
  const on = advanced(OFFER, 4, put("self"));
  assert.deepEqual(on?.texts.map((text) => text.rest), [".total()\n    pass"]);
  assert.deepEqual([on?.position, on?.taken, on?.version], [{ line: 2, character: 12 }, 4, 4]);
});

test("any prefix of any text leaves its rest, and the two make the text", () => {
  for (const text of OFFER.texts) {
    for (let length = 1; length < text.rest.length; length += 1) {
      const typed = text.rest.slice(0, length);
      const on = advanced(OFFER, 4, put(typed));
      assert.ok(on?.texts.some((left) => typed + left.rest === text.rest), typed);
      assert.deepEqual(on?.position, behind(OFFER.position, typed));
    }
  }
});

test("a line's end moves the cursor to the next line", () => {
  const on = advanced(OFFER, 4, put("self.total()\n  "));
  assert.deepEqual([on?.position, on?.texts[0]?.rest], [{ line: 3, character: 2 }, "  pass"]);
});

test("anything else ends it", () => {
  assert.equal(advanced(OFFER, 4, put("x")), undefined);
  assert.equal(advanced(OFFER, 4, put("self.total()\n    pass")), undefined);
  assert.equal(advanced(OFFER, 4, put("self", { line: 1, character: 8 })), undefined);
  assert.equal(advanced(OFFER, 4, put("self", OFFER.position, 1)), undefined);
  assert.equal(advanced(OFFER, 4, [...put("self"), ...put("self")]), undefined);
});

test("a change of nothing, as when a file is saved, changes nothing", () => {
  assert.deepEqual(advanced(OFFER, 4, []), { ...OFFER, version: 4 });
});
