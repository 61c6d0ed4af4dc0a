/**
 * What is offered at a cursor, and what is left of it as the text changes. Pure.
 *
 * VS Code tells nobody whether a suggestion still stands on the screen; this says whether it can.
 */
import type { Accept, Position } from "./messages";

/** One of the texts; `rest` is what of it is still to come behind the cursor. */
export interface Text {
  readonly accept: Accept;
  readonly rest: string;
}

/** What is offered. `taken` counts UTF-16 units that stand in the document since it was offered. */
export interface Offer {
  readonly uri: string;
  readonly version: number;
  readonly position: Position;
  readonly confidence: number;
  readonly texts: readonly Text[];
  readonly taken: number;
}

/** A change of a document: `length` characters from `position` on are replaced. */
export interface Change {
  readonly position: Position;
  readonly length: number;
  readonly text: string;
}

/** The offer after these changes, which lead to `version`; undefined if it does not go on from here. */
export function advanced(offer: Offer, version: number, changes: readonly Change[]): Offer | undefined {
  const change = changes[0];
  if (change === undefined) {
    return { ...offer, version };
  }
  if (changes.length !== 1 || change.length !== 0 || !same(change.position, offer.position)) {
    return undefined;
  }
  const typed = change.text;
  const texts = offer.texts
    .filter((text) => text.rest.startsWith(typed) && text.rest.length > typed.length)
    .map((text) => ({ ...text, rest: text.rest.slice(typed.length) }));
  if (texts.length === 0) {
    return undefined;
  }
  return { ...offer, version, texts, position: behind(offer.position, typed), taken: offer.taken + typed.length };
}

/** Where the cursor stands once a text has been put at a position. */
export function behind(position: Position, text: string): Position {
  const lines = text.split(/\r\n|\r|\n/);
  const last = lines.at(-1) ?? "";
  return lines.length === 1
    ? { line: position.line, character: position.character + last.length }
    : { line: position.line + lines.length - 1, character: last.length };
}

export function same(one: Position, other: Position): boolean {
  return one.line === other.line && one.character === other.character;
}
