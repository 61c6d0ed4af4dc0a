/**
 * The wiring: what is made when the extension starts, which command does what.
 *
 * Owns whether the language server runs.
 */
import { commands, window, workspace } from "vscode";
import type { ExtensionContext, LogOutputChannel } from "vscode";
import { Answers } from "./answers";
import { ask } from "./ask";
import type { Assistant, Start } from "./assistant";
import { Ghost } from "./ghost";
import { menu } from "./menu";
import { chooseModel } from "./models";
import { choose, environment, find, install, thisMachine, wordsOf } from "./setup";
import { change, editorShowsSuggestions, forServer, markStyle, setting } from "./settings";
import { stateOf } from "./status";
import { StatusBar } from "./statusBar";
import * as suggestion from "./suggestion";
import { Why } from "./why";

/** What a new server is needed for when it changes, and what a new daemon, too. */
const OF_THE_SERVER = ["vicinal.command", "vicinal.logLevel"];
const OF_THE_DAEMON = ["vicinal.model", "vicinal.environment"];
const WALKTHROUGH = "vicinal.vicinal#firstSteps";

let extension: Extension | undefined;

export async function activate(context: ExtensionContext): Promise<void> {
  extension = new Extension(context);
  await extension.start();
}

export async function deactivate(): Promise<void> {
  await extension?.stop();
}

class Extension {
  readonly #context: ExtensionContext;
  readonly #log: LogOutputChannel = window.createOutputChannel("Vicinal", { log: true });
  readonly #answers = new Answers();
  readonly #ghost = new Ghost(markStyle);
  readonly #bar = new StatusBar(this.#answers);
  readonly #why = new Why();
  #assistant: Assistant | undefined;
  #offered = false;
  /** Starts and stops follow one another, whoever asks for them. */
  #turn: Promise<void> = Promise.resolve();

  constructor(context: ExtensionContext) {
    this.#context = context;
    const restarting = workspace.onDidChangeConfiguration((changed) => {
      if (OF_THE_DAEMON.some((key) => changed.affectsConfiguration(key))) {
        void this.#restartAll();
      } else if (OF_THE_SERVER.some((key) => changed.affectsConfiguration(key))) {
        void this.restart();
      }
    });
    context.subscriptions.push(this.#log, this.#ghost, this.#bar, this.#why, restarting, ...this.#commands());
  }

  async start(): Promise<void> {
    await this.#inTurn(() => this.#start());
  }

  async stop(): Promise<void> {
    await this.#inTurn(() => this.#stop());
  }

  async restart(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#stop();
      await this.#start();
    });
  }

  async #start(): Promise<void> {
    const found = find(thisMachine(this.#context));
    void commands.executeCommand("setContext", "vicinal.found", found.path !== undefined);
    if (found.path === undefined) {
      this.#bar.show({ kind: "missing", message: found.message, hint: found.hint });
      this.#offerToInstall(found.message);
      return;
    }
    this.#bar.show({ kind: "starting" });
    const { start } = require("./client.js") as { start: Start };
    const launch = { command: found.path, logLevel: setting<string>("logLevel"), environment: environment(), options: forServer, log: this.#log };
    try {
      this.#assistant = await start(launch, {
        status: (told) => {
          const state = stateOf(told);
          this.#bar.show(state.kind === "ready" && !editorShowsSuggestions()
            ? { kind: "warning", message: "VS Code shows no suggestions", hint: "Set editor.inlineSuggest.enabled to true." }
            : state);
        },
        answered: (answer) => {
          this.#answers.put(answer);
          this.#bar.refresh();
        },
        hidden: () => { this.#ghost.clear(); },
        offered: (document, position, items) => {
          this.#ghost.offered(document, position, items);
          const item = items[0];
          if (item !== undefined) {
            this.#assistant?.notify("textDocument/didShowCompletion", { item: { insertText: item.insertText, command: item.command } });
          }
        },
      });
    } catch (error) {
      this.#log.error(wordsOf(error));
      this.#bar.show({
        kind: "error", message: `${found.path} lsp did not start: ${wordsOf(error)}`, hint: "See Vicinal: Show Log, then run Vicinal: Restart.",
      });
    }
  }

  async #stop(): Promise<void> {
    const assistant = this.#assistant;
    this.#assistant = undefined;
    this.#ghost.clear();
    try {
      await assistant?.stop();
    } catch (error) {
      this.#log.warn(wordsOf(error));  // it had gone already
    }
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(work);
    await this.#turn;
  }

  /** Not waited for, and asked once: the status bar goes on saying it. */
  #offerToInstall(message: string): void {
    if (this.#offered) {
      return;
    }
    this.#offered = true;
    const answers = { "Install…": "vicinal.install", "Choose…": "vicinal.chooseCommand", "First Steps": "vicinal.firstSteps" } as const;
    void window.showWarningMessage(`Vicinal: ${message}.`, ...Object.keys(answers)).then((answer) => {
      if (answer !== undefined) {
        void commands.executeCommand(answers[answer as keyof typeof answers]);
      }
    });
  }

  #commands(): { dispose(): unknown }[] {
    const table: Readonly<Record<string, () => Promise<void> | void>> = {
      suggest: suggestion.suggest,
      acceptSuggestion: suggestion.accept,
      acceptNextWord: () => suggestion.acceptPart("Word", this.#ghost, this.#assistant),
      acceptNextLine: () => suggestion.acceptPart("Line", this.#ghost, this.#assistant),
      nextSuggestion: suggestion.next,
      previousSuggestion: suggestion.previous,
      dismissSuggestion: () => suggestion.dismiss(this.#ghost),
      why: async () => {
        this.#ghost.clear();
        await this.#why.open(this.#answers.of(window.activeTextEditor?.document.uri.toString()));
      },
      menu: async () => {
        this.#ghost.clear();
        await menu(this.#bar.state);
      },
      toggleAutomatic: () => change("automatic", !setting<boolean>("automatic")),
      toggleLanguage: () => this.#toggleLanguage(),
      excludeThisFile: () => this.#withServer(async (assistant) => {
        const uri = window.activeTextEditor?.document.uri.toString();
        if (uri !== undefined) {
          await assistant.request("vicinal.excludeFile", uri);
        }
      }),
      ask: () => this.#withServer(ask),
      forget: () => this.#withServer(async (assistant) => {
        void window.showInformationMessage(`Vicinal: ${String(await assistant.request("vicinal.eraseFeedback"))}`);
      }),
      chooseModel: () => this.#chooseModel(),
      install: async () => {
        if (await install(thisMachine(this.#context), this.#log)) {
          await this.restart();
        }
      },
      chooseCommand: async () => {
        await choose();  // a change of the setting starts the server anew
      },
      restart: () => this.#restartAll(),
      showLog: () => { this.#log.show(); },
      firstSteps: async () => { await commands.executeCommand("workbench.action.openWalkthrough", WALKTHROUGH, false); },
    };
    return Object.entries(table).map(([name, action]) => commands.registerCommand(`vicinal.${name}`, action));
  }

  async #toggleLanguage(): Promise<void> {
    const language = window.activeTextEditor?.document.languageId;
    if (language !== undefined) {
      const now = setting<Record<string, boolean>>("languages");
      await change("languages", { ...now, [language]: !(now[language] ?? now["*"] ?? true) });
    }
  }

  async #chooseModel(): Promise<void> {
    const found = find(thisMachine(this.#context));
    if (found.path === undefined) {
      await commands.executeCommand("vicinal.install");
    } else {
      await chooseModel(found.path, this.#log);  // a change of the setting starts server and daemon anew
    }
  }

  /** The server with the settings of now, and the daemon with it. */
  async #restartAll(): Promise<void> {
    await this.restart();
    if (this.#assistant !== undefined) {
      await this.#withServer((assistant) => assistant.request("vicinal.restartDaemon"));
    }
  }

  async #withServer(work: (assistant: Assistant) => Promise<unknown>): Promise<void> {
    if (this.#assistant === undefined) {
      await menu(this.#bar.state);
      return;
    }
    try {
      await work(this.#assistant);
    } catch (error) {
      void window.showErrorMessage(`Vicinal: ${wordsOf(error)}`);
    }
  }
}
