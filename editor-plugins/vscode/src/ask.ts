/**
 * A question to the repository: `vicinal.query`, its findings as a list to open.
 */
import { Range, Uri, window, workspace } from "vscode";
import type { Assistant } from "./assistant";
import { percent } from "./status";

interface Finding {
  readonly path: string;
  readonly start_line: number;
  readonly end_line: number;
  readonly symbol: string;
  readonly share: number;
  readonly text: string;
}

/** Ask the user for a question, show what tells most about it, open what is chosen. */
export async function ask(assistant: Assistant): Promise<void> {
  const folder = await folderToAsk();
  const question = folder === undefined ? undefined : await window.showInputBox({ title: "Find code that tells most about", placeHolder: "where are settings read" });
  if (folder === undefined || question === undefined || question.trim() === "") {
    return;
  }
  const { findings } = await assistant.request("vicinal.query", question, folder.toString()) as { findings: readonly Finding[] };
  const found = findings.map((finding) => ({
    label: finding.symbol || finding.path,
    description: `${percent(finding.share)}  ${finding.path}:${finding.start_line}`,
    detail: finding.text.split("\n").map((line) => line.trim()).find((line) => line !== "") ?? "",
    finding,
  }));
  const picked = await window.showQuickPick(found, { title: question, matchOnDescription: true });
  if (picked !== undefined) {
    const { path, start_line: start, end_line: end } = picked.finding;
    await window.showTextDocument(Uri.joinPath(folder, path), { selection: new Range(start - 1, 0, end, 0) });
  }
}

async function folderToAsk(): Promise<Uri | undefined> {
  const folders = workspace.workspaceFolders ?? [];
  if (folders.length === 0) {
    void window.showInformationMessage("Vicinal: no folder is open.");
  }
  return folders.length > 1 ? (await window.showWorkspaceFolderPick())?.uri : folders[0]?.uri;
}
