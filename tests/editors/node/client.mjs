// A client of its own: Microsoft's protocol library talks to the language server, and says as JSON what it saw.
//
// node client.mjs FOLDER COMMAND...   what to complete is on stdin, a JSON list of {uri, language, text}.
import { spawn } from 'node:child_process';
import { text as read } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import {
    createProtocolConnection, StreamMessageReader, StreamMessageWriter,
    InitializeRequest, InitializedNotification, ShutdownRequest, ExitNotification,
    DidOpenTextDocumentNotification, DidChangeTextDocumentNotification, InlineCompletionRequest,
    ExecuteCommandRequest, InlineCompletionTriggerKind, WorkDoneProgressCreateRequest, ShowMessageNotification,
} from 'vscode-languageserver-protocol/node';

const [folder, command, ...args] = process.argv.slice(2);
const documents = JSON.parse(await read(process.stdin));
const server = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
const ended = new Promise((resolve) => server.on('exit', resolve));
const connection = createProtocolConnection(
    new StreamMessageReader(server.stdout), new StreamMessageWriter(server.stdin), console,
);
const said = { messages: [], answers: [], status: [], completions: [] };
connection.onRequest(WorkDoneProgressCreateRequest.type, () => undefined);
connection.onNotification(ShowMessageNotification.type, ({ message }) => said.messages.push(message));
connection.onNotification('vicinal/answer', (answer) => said.answers.push(answer));
connection.onNotification('didChangeStatus', (status) => said.status.push(status.kind));
connection.listen();

const uri = pathToFileURL(folder).href;
const { capabilities } = await connection.sendRequest(InitializeRequest.type, {
    processId: process.pid,
    clientInfo: { name: 'vscode-languageserver-protocol', version: '3.18' },
    rootUri: uri,
    workspaceFolders: [{ uri, name: 'folder' }],
    capabilities: {
        general: { positionEncodings: ['utf-16'] },
        window: { workDoneProgress: true },
        textDocument: { inlineCompletion: { dynamicRegistration: true }, synchronization: { didSave: true } },
    },
    initializationOptions: { minConfidence: 0, debounceMs: 0 },
});
await connection.sendNotification(InitializedNotification.type, {});

for (const document of documents) {
    let { text } = document;
    let version = 1;
    const textDocument = { uri: document.uri, languageId: document.language, version, text };
    await connection.sendNotification(DidOpenTextDocumentNotification.type, { textDocument });
    const lines = text.split('\n');
    const position = { line: lines.length - 1, character: lines.at(-1).length };
    const insert = async (added) => {
        const contentChanges = [{ range: { start: position, end: position }, text: added }];
        version += 1;
        await connection.sendNotification(DidChangeTextDocumentNotification.type, {
            textDocument: { uri: document.uri, version }, contentChanges,
        });
        text += added;
        const more = added.split('\n');
        position.line += more.length - 1;
        position.character = more.at(-1).length + (more.length === 1 ? position.character : 0);
    };
    let items = [];
    for (let tries = 0; items.length === 0 && tries < 12; tries += 1) {
        if (tries > 0) await insert('a, ');
        const params = {
            textDocument: { uri: document.uri }, position: { ...position },
            context: { triggerKind: InlineCompletionTriggerKind.Invoked },
        };
        ({ items } = await connection.sendRequest(InlineCompletionRequest.type, params));
    }
    if (items.length > 0) {
        await insert(items[0].insertText);
        await connection.sendRequest(ExecuteCommandRequest.type, {
            command: items[0].command.command, arguments: items[0].command.arguments,
        });
    }
    said.completions.push({ language: document.language, items });
}

await connection.sendRequest(ShutdownRequest.type);
await connection.sendNotification(ExitNotification.type);
said.exit = await ended;
connection.dispose();
process.stdout.write(JSON.stringify({ capabilities, ...said }));
