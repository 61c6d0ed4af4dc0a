/**
 * "Why this suggestion?": the evidence in a peek, with the explanation as its first page.
 *
 * Owns the explanation's read-only document.
 */
import { commands, EventEmitter, Location, Range, Uri, window, workspace } from "vscode";
import type { Disposable, Position as CodePosition } from "vscode";
import { explanation } from "./evidence";
import type { Answer, Range as Span } from "./messages";

const SCHEME = "vicinal-why";
const PAGE = Uri.parse(`${SCHEME}:/Why%20this%20suggestion.md`);

export class Why implements Disposable {
  #text = "";
  readonly #changed = new EventEmitter<Uri>();
  readonly #provider = workspace.registerTextDocumentContentProvider(SCHEME, {
    onDidChange: this.#changed.event,
    provideTextDocumentContent: () => this.#text,
  });

  /** Open the evidence of an answer at the cursor. */
  async open(answer: Answer | undefined): Promise<void> {
    const editor = window.activeTextEditor;
    if (editor === undefined || answer === undefined) {
      void window.showInformationMessage("Vicinal has not suggested anything in this file yet.");
      return;
    }
    this.#text = explanation(answer);
    this.#changed.fire(PAGE);
    const evidence = answer.evidence.map((piece) => new Location(Uri.parse(piece.uri), rangeOf(piece.range)));
    const pages = [new Location(PAGE, new Range(0, 0, 0, 0)), ...evidence];
    const at: CodePosition = editor.selection.active;
    await commands.executeCommand("editor.action.peekLocations", editor.document.uri, at, pages, "peek");
  }

  dispose(): void {
    this.#provider.dispose();
    this.#changed.dispose();
  }
}

function rangeOf(span: Span): Range {
  return new Range(span.start.line, span.start.character, span.end.line, span.end.character);
}
