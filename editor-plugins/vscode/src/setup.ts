/**
 * The command `vicinal`: found, chosen by the user, or installed because the user said so.
 *
 * It owns nothing: where the command may be is said by `locate`, what is chosen is a setting.
 */
import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { ProgressLocation, window } from "vscode";
import type { ExtensionContext, LogOutputChannel } from "vscode";
import { findVicinal, intoOwnFolder, waysToInstall } from "./locate";
import type { Found, Machine, Way } from "./locate";
import { environmentOf } from "./options";
import { run } from "./run";
import { change, setting } from "./settings";

export function thisMachine(context: ExtensionContext): Machine {
  return {
    platform: process.platform, environment: process.env, home: homedir(), storage: context.globalStorageUri.fsPath, isCommand,
  };
}

export function find(machine: Machine): Found {
  return findVicinal(machine, setting<string>("command"));
}

/** The environment in which `vicinal` runs. */
export function environment(): Record<string, string> {
  return environmentOf(process.env, setting<string>("model"), setting<Record<string, string>>("environment"));
}

/** Let the user choose a way, and go it; true once something was installed. */
export async function install(machine: Machine, log: LogOutputChannel): Promise<boolean> {
  const pack = setting<string>("package");
  const other = { label: "Choose an interpreter…", detail: "Python 3.11 or newer; it stays as it is", way: undefined };
  const ways = waysToInstall(machine, pack).map((way) => ({ label: way.label, detail: way.detail, way }));
  const chosen = await window.showQuickPick([...ways, other], {
    title: `Install ${pack} with`, placeHolder: "This downloads Vicinal and what it needs, with your package client",
  });
  if (chosen === undefined) {
    return false;
  }
  const way = chosen.way ?? await withInterpreter(machine, pack);
  return way !== undefined && await go(way, log);
}

/** Let the user say where the command is; true if they did. */
export async function choose(): Promise<boolean> {
  const path = await pickFile("Use this command", "Where is vicinal?");
  if (path === undefined) {
    return false;
  }
  await change("command", path);
  return true;
}

async function withInterpreter(machine: Machine, pack: string): Promise<Way | undefined> {
  const python = await pickFile("Use this interpreter", "Python 3.11 or newer");
  return python === undefined ? undefined : intoOwnFolder(machine, python, pack);
}

async function pickFile(openLabel: string, title: string): Promise<string | undefined> {
  const picked = await window.showOpenDialog({ canSelectMany: false, openLabel, title });
  return picked?.[0]?.fsPath;
}

async function go(way: Way, log: LogOutputChannel): Promise<boolean> {
  const where = { location: ProgressLocation.Notification, cancellable: true, title: `Installing Vicinal with ${way.label}` };
  try {
    await window.withProgress(where, async (progress, token) => {
      for (const command of way.commands) {
        await run(command, environmentOf(process.env, "", {}), log, token, (line) => { progress.report({ message: line.slice(0, 80) }); });
      }
    });
    return true;
  } catch (error) {
    const answer = await window.showErrorMessage(`Vicinal could not be installed: ${wordsOf(error)}`, "Show Log");
    if (answer !== undefined) {
      log.show();
    }
    return false;
  }
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isCommand(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
