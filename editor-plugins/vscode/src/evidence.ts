/**
 * Why a suggestion is what it is, in words. Pure.
 */
import type { Answer, Evidence } from "./messages";
import { percent } from "./status";

const KINDS: Readonly<Record<string, string>> = {
  fresh: "tuned for this place",
  cached: "with what it had learned here before",
  warm: "with what it had learned of this repository",
  base: "untuned",
};

/** One line for a piece of evidence: where it stands, what it is, how much it counts. */
export function evidenceLine(piece: Evidence): string {
  const where = `${piece.path}:${piece.range.start.line + 1}`;
  const used = [...(piece.steps > 0 ? [steps(piece.steps)] : []), ...(piece.inPrompt ? ["read in the prompt"] : [])];
  const symbol = piece.symbol === "" ? "" : `  ${piece.symbol}`;
  return `${percent(piece.share)}  ${where}${symbol}${used.length === 0 ? "" : `  (${used.join(", ")})`}`;
}

/** The whole explanation, as Markdown. */
export function explanation(answer: Answer): string {
  const text = answer.items[0]?.text ?? "";
  const fence = "`".repeat(1 + Math.max(2, ...[...text.matchAll(/`+/g)].map((run) => run[0].length)));
  const how = KINDS[answer.adaptation.kind] ?? answer.adaptation.kind;
  const studied = answer.adaptation.steps > 0 ? `, ${steps(answer.adaptation.steps)}` : "";
  return [
    `# ${percent(answer.confidence)} sure`,
    "",
    ...(text === "" ? [] : [fence, text, fence, ""]),
    `By ${answer.model || "the model"}, ${how}${studied}, in ${answer.seconds.toFixed(1)} s.`,
    ...(answer.shown === "yes" ? [] : ["", `It was not shown: ${answer.shown}.`]),
    ...(answer.reasons.length === 0 ? [] : ["", "## Why not surer", "", ...answer.reasons.map((reason) => `- ${reason}`)]),
    "",
    "## What it rests on",
    "",
    ...(answer.evidence.length === 0
      ? ["The open file alone: no other code was found."]
      : answer.evidence.map((piece) => `- ${evidenceLine(piece)}`)),
    "",
    `Uncertainty: ${answer.sigma0.toFixed(2)} before, ${answer.sigmaN.toFixed(2)} after studying this, ` +
      `${answer.sigmaInf.toFixed(2)} that no code of this repository removes.`,
    "",
  ].join("\n");
}

function steps(count: number): string {
  return count === 1 ? "1 step" : `${count} steps`;
}
