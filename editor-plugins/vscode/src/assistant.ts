/**
 * What the extension wants of the language server, and what it hears of it. Types only: the client that does it is a
 * bundle of its own, which is read when `vicinal` was found.
 */
import type * as vscode from "vscode";
import type { Answer, ServerStatus } from "./messages";

export interface Launch {
  readonly command: string;
  readonly logLevel: string;
  readonly environment: Record<string, string>;
  readonly options: () => Record<string, unknown>;
  readonly log: vscode.LogOutputChannel;
}

export interface Listener {
  /** How the server and its daemon are. */
  status(told: ServerStatus): void;
  /** There was an answer, shown or not. */
  answered(answer: Answer): void;
  /** The editor's menu covers what was offered. */
  hidden(): void;
  /** These items were given to the editor, which shows the first of them unless the user goes on. */
  offered(document: vscode.TextDocument, position: vscode.Position, items: readonly vscode.InlineCompletionItem[]): void;
}

export interface Assistant {
  /** Carry out a command of the server; rejects with its message. */
  request(command: string, ...args: readonly unknown[]): Promise<unknown>;
  /** Tell the server something. */
  notify(method: string, params: unknown): void;
  stop(): Promise<void>;
}

/** Starts the server; rejects if it does not come up. */
export type Start = (launch: Launch, listener: Listener) => Promise<Assistant>;
