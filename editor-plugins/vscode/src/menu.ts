/**
 * What a click on the status bar offers: the state, and what can be done about it.
 */
import { commands, window } from "vscode";
import type { QuickPickItem } from "vscode";
import { lookOf } from "./status";
import type { State } from "./status";

interface Action extends QuickPickItem {
  readonly command: string;
}

const ALWAYS: readonly Action[] = [
  { label: "$(question) Why this suggestion?", command: "vicinal.why" },
  { label: "$(debug-pause) Pause or resume automatic completions", command: "vicinal.toggleAutomatic" },
  { label: "$(file-code) Switch this language off or on", command: "vicinal.toggleLanguage" },
  { label: "$(exclude) Exclude this file", command: "vicinal.excludeThisFile" },
  { label: "$(search) Find code that tells most about…", command: "vicinal.ask" },
  { label: "$(chip) Choose the model", command: "vicinal.chooseModel" },
  { label: "$(refresh) Restart", command: "vicinal.restart" },
  { label: "$(output) Show the log", command: "vicinal.showLog" },
  { label: "$(book) First steps", command: "vicinal.firstSteps" },
];
const MISSING: readonly Action[] = [
  { label: "$(cloud-download) Install the command vicinal", command: "vicinal.install" },
  { label: "$(folder-opened) Choose the command vicinal", command: "vicinal.chooseCommand" },
  { label: "$(refresh) Look again", command: "vicinal.restart" },
  { label: "$(output) Show the log", command: "vicinal.showLog" },
  { label: "$(book) First steps", command: "vicinal.firstSteps" },
];

export async function menu(state: State): Promise<void> {
  const title = lookOf(state, undefined).spoken;
  const placeHolder = "hint" in state && state.hint !== "" ? state.hint : "What do you want to do?";
  const picked = await window.showQuickPick(state.kind === "missing" ? MISSING : ALWAYS, { title, placeHolder });
  if (picked !== undefined) {
    await commands.executeCommand(picked.command);
  }
}
