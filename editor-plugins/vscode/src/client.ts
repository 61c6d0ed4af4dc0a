/**
 * The language client: one `vicinal lsp`, started, listened to, started again if it dies.
 *
 * Owns the connection. What is heard goes to the listener; it does not know who shows it.
 */
import { window, workspace, ProgressLocation } from "vscode";
import type { InlineCompletionItem } from "vscode";
import { CloseAction, LanguageClient } from "vscode-languageclient/node";
import type {
  CloseHandlerResult, ErrorHandler, Middleware, ProgressToken, StaticFeature, WorkDoneProgressBegin, WorkDoneProgressEnd,
  WorkDoneProgressReport,
} from "vscode-languageclient/node";
import type { Assistant, Launch, Listener, Start } from "./assistant";
import type { Answer, ServerStatus } from "./messages";

const RESTARTS = 3;
const STOP_MS = 5000;
const DOCUMENTS = [{ scheme: "file" }, { scheme: "untitled" }, { scheme: "vscode-notebook-cell" }];

export const start: Start = async (launch: Launch, listener: Listener): Promise<Assistant> => {
  let running = false;
  const gone = (result: CloseHandlerResult): CloseHandlerResult => {
    if (result.action === CloseAction.DoNotRestart && running) {
      listener.status({ kind: "Error", busy: false, message: "the language server has stopped", hint: "See Vicinal: Show Log, then run Vicinal: Restart." });
    }
    return { ...result, handled: true };
  };
  const errorHandler: ErrorHandler = {
    error: (error, message, count) => restarts.error(error, message, count),
    closed: async () => gone(running ? await restarts.closed() : { action: CloseAction.DoNotRestart }),
  };
  const client = new LanguageClient(
    "vicinal",
    "Vicinal",
    { command: launch.command, args: ["lsp", "--log-level", launch.logLevel], options: { env: launch.environment } },
    {
      documentSelector: DOCUMENTS,
      initializationOptions: launch.options(),
      outputChannel: launch.log,
      errorHandler,
      initializationFailedHandler: () => false,
      middleware: middleware(launch, listener, (token) => {
        void client.sendNotification("window/workDoneProgress/cancel", { token });
      }),
    },
  );
  const restarts = client.createDefaultErrorHandler(RESTARTS);
  client.registerFeature(NO_SHOW_DOCUMENT);
  client.onNotification("didChangeStatus", (told: ServerStatus) => { listener.status(told); });
  client.onNotification("vicinal/answer", (answer: Answer) => { listener.answered(answer); });
  const settings = workspace.onDidChangeConfiguration((change) => {
    if (running && change.affectsConfiguration("vicinal")) {
      void client.sendNotification("workspace/didChangeConfiguration", { settings: { vicinal: launch.options() } });
    }
  });
  await client.start();
  running = true;
  return {
    request: async (command, ...args) => await client.sendRequest("workspace/executeCommand", { command, arguments: args }),
    notify: (method, params) => { void client.sendNotification(method, params); },
    stop: async () => {
      running = false;
      settings.dispose();
      await client.stop(STOP_MS);
    },
  };
};

/** The evidence is opened by us: the server shall not open a file of its own accord. */
const NO_SHOW_DOCUMENT: StaticFeature = {
  fillClientCapabilities: (capabilities) => { capabilities.window = { ...capabilities.window, showDocument: { support: false } }; },
  initialize: () => undefined,
  getState: () => ({ kind: "static" }),
  clear: () => undefined,
};

function middleware(launch: Launch, listener: Listener, cancel: (token: ProgressToken) => void): Middleware {
  const bars = new Bars(cancel);
  return {
    provideInlineCompletionItems: async (document, position, context, token, next) => {
      const version = document.version;
      const selected = context.selectedCompletionInfo;
      if (selected !== undefined) {
        listener.hidden();
      }
      const given = await next(document, position, context, token);
      const items: readonly InlineCompletionItem[] = given === null || given === undefined ? [] : Array.isArray(given) ? given : given.items;
      // With the menu open the editor shows only what goes on from what is selected there.
      const shown = items.filter((item) => selected === undefined || beginsWith(item, selected.text));
      if (shown.length > 0 && !token.isCancellationRequested && document.version === version) {
        listener.offered(document, position, shown);
      }
      return given;
    },
    workspace: {
      configuration: (params) => params.items.map(() => launch.options()),
      didChangeConfiguration: () => Promise.resolve(),  // told above, without the settings that are ours
    },
    handleWorkDoneProgress: (token, params, next) => {
      bars.told(token, params);
      if (params.kind === "end") {
        next(token, params);
      }
    },
  };
}

function beginsWith(item: InlineCompletionItem, text: string): boolean {
  return typeof item.insertText === "string" && item.insertText.startsWith(text);
}

/** Bars for what the user can call off; the status bar tells of the rest. */
class Bars {
  readonly #open = new Map<ProgressToken, { report: (value: WorkDoneProgressReport) => void; end: () => void }>();
  readonly #cancel: (token: ProgressToken) => void;

  constructor(cancel: (token: ProgressToken) => void) {
    this.#cancel = cancel;
  }

  told(token: ProgressToken, value: WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd): void {
    if (value.kind === "begin" && value.cancellable === true) {
      this.#begin(token, value);
    } else if (value.kind === "report") {
      this.#open.get(token)?.report(value);
    } else if (value.kind === "end") {
      this.#open.get(token)?.end();
      this.#open.delete(token);
    }
  }

  #begin(token: ProgressToken, begin: WorkDoneProgressBegin): void {
    const where = { location: ProgressLocation.Notification, cancellable: true, title: begin.title };
    void window.withProgress(where, (progress, cancellation) => {
      cancellation.onCancellationRequested(() => { this.#cancel(token); });
      let done = 0;
      const report = (value: { message?: string; percentage?: number }): void => {
        const now = value.percentage ?? done;
        progress.report({ increment: now - done, ...(value.message === undefined ? {} : { message: value.message }) });
        done = now;
      };
      report(begin);
      return new Promise<void>((resolve) => { this.#open.set(token, { report, end: resolve }); });
    });
  }
}
