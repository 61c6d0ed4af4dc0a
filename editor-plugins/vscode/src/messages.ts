/**
 * What the language server tells us, in its own shapes (docs/lsp.md). Types only.
 */

export interface Position {
  readonly line: number;
  readonly character: number;
}

export interface Range {
  readonly start: Position;
  readonly end: Position;
}

/** Code that an answer rests on. `share` is of the reduction in variance, in [0, 1]. */
export interface Evidence {
  readonly uri: string;
  readonly range: Range;
  readonly path: string;
  readonly symbol: string;
  readonly share: number;
  readonly steps: number;
  readonly inPrompt: boolean;
}

/** The notification `vicinal/answer`. `confidence` and the sigmas are in [0, 1]; `shown` is "yes", or why not. */
export interface Answer {
  readonly id: string;
  readonly uri: string;
  readonly version: number;
  readonly position: Position;
  readonly shown: string;
  readonly items: readonly { readonly index: number; readonly text: string }[];
  readonly trigger: string;
  readonly confidence: number;
  readonly reasons: readonly string[];
  readonly sigma0: number;
  readonly sigmaN: number;
  readonly sigmaInf: number;
  readonly adaptation: { readonly kind: string; readonly steps: number; readonly behind: boolean };
  readonly evidence: readonly Evidence[];
  readonly model: string;
  readonly typedAhead: boolean;
  readonly seconds: number;
}

/** The notification `didChangeStatus`. */
export interface ServerStatus {
  readonly kind: "Normal" | "InProgress" | "Warning" | "Error";
  readonly busy: boolean;
  readonly message: string;
  readonly hint: string;
}

/** The argument of an item's command `vicinal.accept`. */
export interface Accept {
  readonly id: string;
  readonly index: number;
  readonly confidence?: number;
}
