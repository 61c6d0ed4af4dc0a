/**
 * How things are, in the words of the status bar. Pure: it does not know where the state comes from or who shows it.
 */
import type { Answer, ServerStatus } from "./messages";

export type State =
  | { readonly kind: "missing"; readonly message: string; readonly hint: string }
  | { readonly kind: "starting" }
  | { readonly kind: "working"; readonly message: string }
  | { readonly kind: "ready" }
  | { readonly kind: "paused"; readonly message: string }
  | { readonly kind: "warning"; readonly message: string; readonly hint: string }
  | { readonly kind: "error"; readonly message: string; readonly hint: string };

export type Severity = "none" | "warning" | "error";

/** What the status bar shows. `tooltip` is Markdown. */
export interface Look {
  readonly text: string;
  readonly spoken: string;
  readonly tooltip: string;
  readonly severity: Severity;
}

/** What the server said, as a state of ours. */
export function stateOf(told: ServerStatus): State {
  switch (told.kind) {
    case "Error":
      return { kind: "error", message: told.message, hint: told.hint };
    case "Warning":
      return { kind: "warning", message: told.message, hint: told.hint };
    case "InProgress":
      return { kind: "working", message: told.message };
    case "Normal":
      return told.message === "ready" ? { kind: "ready" } : { kind: "paused", message: told.message };
  }
}

/** Whether the state says that the model is there, and whether it says that the repository has been read. */
export function reached(state: State): { readonly model: boolean; readonly index: boolean } {
  const busy = state.kind === "working" ? state.message : "";
  const ready = state.kind === "ready" || state.kind === "paused" || busy === "tuning";
  return { model: ready || busy.startsWith("indexing"), index: ready };
}

/** A probability as people read it: 0.624 is "62%". */
export function percent(confidence: number): string {
  return `${Math.round(100 * Math.min(1, Math.max(0, confidence)))}%`;
}

/** What the status bar shows of a state and the last answer in the open document, if there was one. */
export function lookOf(state: State, answer: Answer | undefined): Look {
  const sure = answer === undefined ? "" : percent(answer.confidence);
  const { text, words, hint, severity } = parts(state, sure);
  const last = answer === undefined ? [] : ["", `Last suggestion: **${sure} sure**${notShown(answer)}.`, ...answer.reasons];
  return {
    text,
    spoken: sure === "" ? `Vicinal: ${words}` : `Vicinal: ${words}, last suggestion ${sure} sure`,
    tooltip: [`**Vicinal**: ${words}`, ...(hint === "" ? [] : ["", hint]), ...last].join("\n\n").replace(/\n{3,}/g, "\n\n"),
    severity,
  };
}

interface Parts {
  readonly text: string;
  readonly words: string;
  readonly hint: string;
  readonly severity: Severity;
}

function parts(state: State, sure: string): Parts {
  const behind = sure === "" ? "" : ` ${sure}`;
  switch (state.kind) {
    case "ready":
      return { text: `$(sparkle) Vicinal${behind}`, words: "ready", hint: "", severity: "none" };
    case "starting":
      return { text: "$(sync~spin) Vicinal: starting", words: "starting", hint: "", severity: "none" };
    case "working":
      return { text: `$(sync~spin) Vicinal: ${state.message}${behind}`, words: state.message, hint: "", severity: "none" };
    case "paused":
      return { text: `$(debug-pause) Vicinal: paused${behind}`, words: state.message, hint: "", severity: "none" };
    case "warning":
      return { text: `$(warning) Vicinal: warning${behind}`, words: state.message, hint: state.hint, severity: "warning" };
    case "missing":
      return { text: "$(error) Vicinal: not installed", words: state.message, hint: state.hint, severity: "error" };
    case "error":
      return { text: "$(error) Vicinal: error", words: state.message, hint: state.hint, severity: "error" };
  }
}

function notShown(answer: Answer): string {
  return answer.shown === "yes" ? "" : `, not shown: ${answer.shown}`;
}
