/**
 * The last answer in each document. Pure but for being kept.
 */
import type { Answer } from "./messages";

const KEPT = 100;

export class Answers {
  readonly #of = new Map<string, Answer>();

  /** Keep an answer; those of documents that were long ago are let go. */
  put(answer: Answer): void {
    this.#of.delete(answer.uri);
    this.#of.set(answer.uri, answer);
    for (const uri of [...this.#of.keys()].slice(0, -KEPT)) {
      this.#of.delete(uri);
    }
  }

  /** The last one in a document. */
  of(uri: string | undefined): Answer | undefined {
    return uri === undefined ? undefined : this.#of.get(uri);
  }
}
