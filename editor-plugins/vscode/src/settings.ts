/**
 * The settings as the user has them now.
 */
import { ConfigurationTarget, workspace } from "vscode";
import { serverOptions } from "./options";
import type { MarkStyle } from "./mark";

/** A setting of ours; package.json has its default. */
export function setting<T>(key: string): T {
  return workspace.getConfiguration("vicinal").get(key) as T;
}

export function markStyle(): MarkStyle {
  return setting<MarkStyle>("confidenceMark");
}

/** The settings for the language server. */
export function forServer(): Record<string, unknown> {
  return serverOptions((key) => setting(key));
}

/** Change a setting where it is set: in the workspace if it has its own value, else for the user. */
export async function change(key: string, value: unknown): Promise<void> {
  const found = workspace.getConfiguration("vicinal");
  const own = found.inspect(key)?.workspaceValue !== undefined;
  await found.update(key, value, own ? ConfigurationTarget.Workspace : ConfigurationTarget.Global);
}

/** Whether VS Code shows suggestions at all. */
export function editorShowsSuggestions(): boolean {
  return workspace.getConfiguration("editor").get("inlineSuggest.enabled") !== false;
}
