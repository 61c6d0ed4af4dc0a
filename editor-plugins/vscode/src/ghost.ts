/**
 * The suggestion on the screen: its confidence mark, and whether our keys mean it (`vicinal.offering`).
 *
 * Owns the current offer. It does not know where offers come from.
 */
import { commands, Range, ThemeColor, window, workspace } from "vscode";
import type { Disposable, InlineCompletionItem, Position, TextDocument, TextEditor } from "vscode";
import { markOf } from "./mark";
import type { MarkStyle } from "./mark";
import type { Accept } from "./messages";
import { advanced, same } from "./offer";
import type { Offer, Text } from "./offer";

export class Ghost implements Disposable {
  readonly #style: () => MarkStyle;
  readonly #decoration = window.createTextEditorDecorationType({
    after: { color: new ThemeColor("vicinal.confidenceForeground"), margin: "0 0 0 1ch" },
  });
  readonly #listening: Disposable[];
  #offer: Offer | undefined;
  #marked: TextEditor | undefined;

  constructor(style: () => MarkStyle) {
    this.#style = style;
    this.#listening = [
      workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
        if (this.#offer?.uri === document.uri.toString()) {
          const changes = contentChanges.map(({ range, rangeLength, text }) => ({ position: range.start, length: rangeLength, text }));
          this.#set(advanced(this.#offer, document.version, changes));
        }
      }),
      window.onDidChangeTextEditorSelection(({ textEditor, selections }) => {
        const cursor = selections[0];
        if (this.#offer?.uri === textEditor.document.uri.toString() && !(selections.length === 1 && cursor?.isEmpty === true && same(cursor.active, this.#offer.position))) {
          this.clear();
        }
      }),
      window.onDidChangeActiveTextEditor(() => { this.clear(); }),
      window.onDidChangeWindowState(({ focused }) => {
        if (!focused) {  // VS Code hides it, too
          this.clear();
        }
      }),
    ];
  }

  /** What is offered now. */
  get offer(): Offer | undefined {
    return this.#offer;
  }

  /** These items were given to the editor for this place. */
  offered(document: TextDocument, position: Position, items: readonly InlineCompletionItem[]): void {
    const texts = items.flatMap((item) => textOf(document, position, item));
    const confidence = texts[0]?.accept.confidence;
    const editor = window.activeTextEditor;
    if (confidence === undefined || editor?.document !== document || !same(editor.selection.active, position)) {
      return;
    }
    this.#set({ uri: document.uri.toString(), version: document.version, position, confidence, texts, taken: 0 });
  }

  /** Nothing is offered any more. */
  clear(): void {
    this.#set(undefined);
  }

  dispose(): void {
    this.clear();
    this.#decoration.dispose();
    for (const one of this.#listening) {
      one.dispose();
    }
  }

  #set(offer: Offer | undefined): void {
    if ((offer === undefined) !== (this.#offer === undefined)) {
      void commands.executeCommand("setContext", "vicinal.offering", offer !== undefined);
    }
    this.#offer = offer;
    this.#draw();
  }

  #draw(): void {
    const editor = window.activeTextEditor;
    if (this.#marked !== undefined && (this.#offer === undefined || this.#marked !== editor)) {
      this.#marked.setDecorations(this.#decoration, []);
      this.#marked = undefined;
    }
    if (this.#offer === undefined || editor === undefined) {
      return;
    }
    const end = editor.document.lineAt(this.#offer.position.line).range.end;
    const contentText = markOf(this.#style(), this.#offer.confidence);
    const marks = contentText === "" ? [] : [{ range: new Range(end, end), renderOptions: { after: { contentText } } }];
    editor.setDecorations(this.#decoration, marks);
    this.#marked = editor;
  }
}

/** Of an item that begins with what stands before the cursor only what is still to come. */
function textOf(document: TextDocument, position: Position, item: InlineCompletionItem): Text[] {
  const accept = item.command?.arguments?.[0] as Accept | undefined;
  if (accept === undefined || typeof item.insertText !== "string") {
    return [];
  }
  const typed = item.range === undefined ? "" : document.getText(new Range(item.range.start, position));
  return item.insertText.startsWith(typed) ? [{ accept, rest: item.insertText.slice(typed.length) }] : [];
}
