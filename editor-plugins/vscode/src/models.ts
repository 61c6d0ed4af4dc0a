/**
 * Choosing the model: what is on this machine, what can be fetched, fetching it.
 */
import { ProgressLocation, window } from "vscode";
import type { LogOutputChannel } from "vscode";
import { run } from "./run";
import { environment, wordsOf } from "./setup";
import { change } from "./settings";

interface Model {
  readonly name: string;
  readonly installed: boolean;
  readonly bytes: number;
  readonly origin: string;
  readonly licence: string;
}

/** Models that complete nothing: sentence encoders stand in the same list. */
const ENCODERS: ReadonlySet<string> = new Set(["minilm"]);

/** Let the user choose, fetch what is not there, and set it. */
export async function chooseModel(vicinal: string, log: LogOutputChannel): Promise<void> {
  try {
    const listed = JSON.parse(await run([vicinal, "models", "list", "--json"], environment(), log)) as Model[];
    const known = listed.filter((model) => !ENCODERS.has(model.name)).map((model) => ({
      label: model.name,
      description: model.installed ? "on this machine" : "to be fetched",
      detail: `${Math.round(model.bytes / 1e6)} MB, ${model.licence}, ${model.origin}`,
      model,
    }));
    const other = { label: "Another…", description: "", detail: "A name on the hub, or a folder", model: undefined };
    const picked = await window.showQuickPick([...known, other], { title: "Vicinal's model", placeHolder: "The larger, the better and the slower" });
    const name = picked?.model?.name ?? (picked === undefined ? undefined : await ask());
    if (name === undefined || name.trim() === "") {
      return;
    }
    if (picked?.model?.installed !== true) {
      await fetch(vicinal, name.trim(), log);
    }
    await change("model", name.trim());
  } catch (error) {
    void window.showErrorMessage(`Vicinal: ${wordsOf(error)}`);
  }
}

async function ask(): Promise<string | undefined> {
  return await window.showInputBox({ title: "Vicinal's model", prompt: "A name on the hub or a folder", placeHolder: "Qwen/Qwen2.5-Coder-0.5B" });
}

async function fetch(vicinal: string, name: string, log: LogOutputChannel): Promise<void> {
  const where = { location: ProgressLocation.Notification, cancellable: true, title: `Fetching ${name}` };
  await window.withProgress(where, async (progress, token) => {
    await run([vicinal, "models", "pull", name], environment(), log, token, (line) => { progress.report({ message: line.slice(0, 80) }); });
  });
}
