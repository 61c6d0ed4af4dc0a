/**
 * Where the command `vicinal` may be, and how it can be installed. Pure: whether a file is there is asked of `Machine`.
 */
import { posix, win32 } from "node:path";

/** What has to be known of a machine. `isCommand` says whether a path is a file that can be run. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly home: string;
  /** The extension's own folder. */
  readonly storage: string;
  readonly isCommand: (path: string) => boolean;
}

export type Found =
  | { readonly path: string }
  | { readonly path: undefined; readonly message: string; readonly hint: string };

/** A way to install: `commands` are run one after the other. */
export interface Way {
  readonly label: string;
  readonly detail: string;
  readonly commands: readonly (readonly [string, ...string[]])[];
}

/** The command: what the setting names, else on PATH, else where uv, pipx and this extension put it. */
export function findVicinal(machine: Machine, setting: string): Found {
  if (setting !== "") {
    const path = setting.replace(/^~(?=$|[/\\])/, machine.home);
    return machine.isCommand(path)
      ? { path }
      : { path: undefined, message: `vicinal.command is ${setting}, and no command is there`, hint: "Correct the setting, or empty it." };
  }
  const path = onPath(machine, "vicinal") ?? usualFolders(machine).flatMap((folder) => named(machine, folder, "vicinal")).find(machine.isCommand);
  return path === undefined
    ? { path: undefined, message: "the command vicinal was not found", hint: "Install it, or say where it is." }
    : { path };
}

/** The ways to install a package on this machine, best first; may be empty. */
export function waysToInstall(machine: Machine, pack: string): Way[] {
  const uv = onPath(machine, "uv");
  const pipx = onPath(machine, "pipx");
  const python = ["python3", "python"].map((name) => onPath(machine, name)).find((path) => path !== undefined);
  return [
    ...(uv === undefined ? [] : [{ label: "uv", detail: `uv tool install ${pack}`, commands: [[uv, "tool", "install", pack] as const] }]),
    ...(pipx === undefined ? [] : [{ label: "pipx", detail: `pipx install ${pack}`, commands: [[pipx, "install", pack] as const] }]),
    ...(python === undefined ? [] : [intoOwnFolder(machine, python, pack)]),
  ];
}

/** Installs with this interpreter, into an environment in the extension's own folder: the interpreter's stays as it is. */
export function intoOwnFolder(machine: Machine, python: string, pack: string): Way {
  const folder = ownEnvironment(machine);
  const inside = path(machine).join(folder, binaries(machine), machine.platform === "win32" ? "python.exe" : "python");
  return {
    label: python,
    detail: `an environment of its own in ${folder}`,
    commands: [[python, "-m", "venv", folder], [inside, "-m", "pip", "install", "--upgrade", "--disable-pip-version-check", pack]],
  };
}

function onPath(machine: Machine, name: string): string | undefined {
  const separator = machine.platform === "win32" ? ";" : ":";
  const folders = (machine.environment["PATH"] ?? machine.environment["Path"] ?? "").split(separator);
  return folders.filter((folder) => folder !== "").flatMap((folder) => named(machine, folder, name)).find(machine.isCommand);
}

function usualFolders(machine: Machine): string[] {
  const { environment } = machine;
  const chosen = [environment["UV_TOOL_BIN_DIR"], environment["PIPX_BIN_DIR"], environment["XDG_BIN_HOME"]];
  return [
    ...chosen.filter((folder): folder is string => folder !== undefined && folder !== ""),
    path(machine).join(machine.home, ".local", "bin"),
    path(machine).join(ownEnvironment(machine), binaries(machine)),
  ];
}

function ownEnvironment(machine: Machine): string {
  return path(machine).join(machine.storage, "environment");
}

function binaries(machine: Machine): string {
  return machine.platform === "win32" ? "Scripts" : "bin";
}

function named(machine: Machine, folder: string, name: string): string[] {
  return [path(machine).join(folder, machine.platform === "win32" ? `${name}.exe` : name)];
}

function path(machine: Machine): typeof posix {
  return machine.platform === "win32" ? win32 : posix;
}
