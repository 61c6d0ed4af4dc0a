/**
 * The item in the status bar, and the context keys that follow from the state.
 *
 * Owns the state that was told last. `status` has the words.
 */
import { commands, MarkdownString, StatusBarAlignment, ThemeColor, window } from "vscode";
import type { Disposable } from "vscode";
import type { Answers } from "./answers";
import { lookOf, reached } from "./status";
import type { Severity, State } from "./status";

const BACKGROUNDS: Readonly<Record<Severity, string | undefined>> = {
  none: undefined,
  warning: "statusBarItem.warningBackground",
  error: "statusBarItem.errorBackground",
};

export class StatusBar implements Disposable {
  readonly #answers: Answers;
  readonly #item = window.createStatusBarItem("vicinal.status", StatusBarAlignment.Right, 100);
  readonly #listening: Disposable;
  #state: State = { kind: "starting" };

  constructor(answers: Answers) {
    this.#answers = answers;
    this.#item.name = "Vicinal";
    this.#item.command = "vicinal.menu";
    this.#listening = window.onDidChangeActiveTextEditor(() => { this.refresh(); });
    this.refresh();
    this.#item.show();
  }

  get state(): State {
    return this.#state;
  }

  /** How things are now. */
  show(state: State): void {
    this.#state = state;
    const { model, index } = reached(state);
    for (const [key, there] of [["vicinal.modelThere", model], ["vicinal.indexed", index]] as const) {
      if (there) {
        void commands.executeCommand("setContext", key, true);
      }
    }
    this.refresh();
  }

  /** Say it again: the open document or its last answer is another one. */
  refresh(): void {
    const answer = this.#answers.of(window.activeTextEditor?.document.uri.toString());
    const look = lookOf(this.#state, answer);
    const background = BACKGROUNDS[look.severity];
    this.#item.text = look.text;
    this.#item.tooltip = new MarkdownString(look.tooltip);
    this.#item.accessibilityInformation = { label: look.spoken };
    this.#item.backgroundColor = background === undefined ? undefined : new ThemeColor(background);
    void commands.executeCommand("setContext", "vicinal.answered", answer !== undefined);
  }

  dispose(): void {
    this.#listening.dispose();
    this.#item.dispose();
  }
}
