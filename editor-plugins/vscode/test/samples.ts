/** Answers for tests. */
import type { Answer } from "../src/messages";

export function answer(more: Partial<Answer> = {}): Answer {
  return {
    id: "a", uri: "file:///shop/gift.py", version: 1, position: { line: 0, character: 0 }, shown: "yes",
    items: [{ index: 0, text: "total()" }], trigger: "automatic", confidence: 0.62, reasons: [],
    sigma0: 1, sigmaN: 0.41, sigmaInf: 0.38, adaptation: { kind: "fresh", steps: 8, behind: false }, evidence: [],
    model: "small", typedAhead: false, seconds: 0.84, ...more,
  };
}
