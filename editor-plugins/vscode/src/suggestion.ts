/**
 * What is done with the suggestion on the screen. VS Code does it; what it does not tell the server, we do.
 */
import { commands } from "vscode";
import type { Assistant } from "./assistant";
import type { Ghost } from "./ghost";

const VSCODE = "editor.action.inlineSuggest";

export const suggest = async (): Promise<void> => { await commands.executeCommand(`${VSCODE}.trigger`); };
export const accept = async (): Promise<void> => { await commands.executeCommand(`${VSCODE}.commit`); };
export const next = async (): Promise<void> => { await commands.executeCommand(`${VSCODE}.showNext`); };
export const previous = async (): Promise<void> => { await commands.executeCommand(`${VSCODE}.showPrevious`); };

export async function dismiss(ghost: Ghost): Promise<void> {
  await commands.executeCommand(`${VSCODE}.hide`);
  ghost.clear();
}

/** Accept the next word or line, and tell how much of the suggestion stands in the text now. */
export async function acceptPart(part: "Word" | "Line", ghost: Ghost, assistant: Assistant | undefined): Promise<void> {
  const before = ghost.offer;
  await commands.executeCommand(`${VSCODE}.acceptNext${part}`);
  const now = ghost.offer;
  const text = now?.texts[0];
  if (before !== undefined && now !== undefined && text !== undefined && now.taken > before.taken) {
    const item = { insertText: text.rest, command: { title: "Accept", command: "vicinal.accept", arguments: [text.accept] } };
    assistant?.notify("textDocument/didPartiallyAcceptCompletion", { item, acceptedLength: now.taken });
  }
}
