/**
 * Running a command to its end. What it says goes into the log, line by line.
 */
import { spawn } from "node:child_process";
import type { CancellationToken, LogOutputChannel } from "vscode";

export class CommandFailed extends Error {}

/** What the command has written to stdout. Rejects with its last words if it fails, is not there, or was called off. */
export async function run(
  command: readonly [string, ...string[]], environment: Record<string, string>, log: LogOutputChannel, token?: CancellationToken,
  onLine: (line: string) => void = () => undefined,
): Promise<string> {
  const [file, ...args] = command;
  log.info(command.join(" "));
  return await new Promise((resolve, reject) => {
    const child = spawn(file, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    const calledOff = token?.onCancellationRequested(() => { child.kill(); });
    let written = "";
    let last = "";
    const heard = (chunk: string): void => {
      for (const line of chunk.split(/\r?\n|\r/).map((text) => text.trim()).filter((text) => text !== "")) {
        log.info(line);
        onLine(line);
        last = line;
      }
    };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      written += chunk;
      heard(chunk);
    });
    child.stderr.setEncoding("utf8").on("data", heard);
    child.once("error", (error) => { reject(new CommandFailed(`${file}: ${error.message}`)); });
    child.once("close", (status) => {
      calledOff?.dispose();
      if (status === 0) {
        resolve(written);
      } else {
        reject(new CommandFailed(token?.isCancellationRequested === true ? "called off" : last || `${file} ended with status ${String(status)}`));
      }
    });
  });
}
