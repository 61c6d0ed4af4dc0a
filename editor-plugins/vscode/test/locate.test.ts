import assert from "node:assert/strict";
import { test } from "node:test";
import { findVicinal, intoOwnFolder, waysToInstall } from "../src/locate";
import type { Machine } from "../src/locate";

function machine(there: readonly string[], more: Partial<Machine> = {}): Machine {
  return {
    platform: "linux", environment: { PATH: "/usr/bin:/opt/bin" }, home: "/home/you", storage: "/storage",
    isCommand: (path) => there.includes(path), ...more,
  };
}

test("what the setting names is used, and nothing else", () => {
  assert.deepEqual(findVicinal(machine(["/x/vicinal", "/usr/bin/vicinal"]), "/x/vicinal"), { path: "/x/vicinal" });
  assert.deepEqual(findVicinal(machine(["/home/you/bin/vicinal"]), "~/bin/vicinal"), { path: "/home/you/bin/vicinal" });
  assert.equal(findVicinal(machine(["/usr/bin/vicinal"]), "/x/vicinal").path, undefined);
});

test("PATH comes before the places of uv and pipx, and those before our own", () => {
  const places = ["/opt/bin/vicinal", "/home/you/.local/bin/vicinal", "/storage/environment/bin/vicinal"];
  places.forEach((path, number) => {
    assert.deepEqual(findVicinal(machine(places.slice(number)), ""), { path });
  });
  const elsewhere = machine(["/tools/vicinal"], { environment: { UV_TOOL_BIN_DIR: "/tools" } });
  assert.deepEqual(findVicinal(elsewhere, ""), { path: "/tools/vicinal" });
});

test("what is missing is said with what to do", () => {
  const found = findVicinal(machine([]), "");
  assert.ok(found.path === undefined && found.message.includes("not found") && found.hint !== "");
});

test("only tools that are there are offered, uv first", () => {
  assert.deepEqual(waysToInstall(machine([]), "vicinal"), []);
  const all = waysToInstall(machine(["/usr/bin/python3", "/opt/bin/pipx", "/usr/bin/uv"]), "vicinal");
  assert.deepEqual(all.map((way) => way.label), ["uv", "pipx", "/usr/bin/python3"]);
  assert.deepEqual(all[0]?.commands, [["/usr/bin/uv", "tool", "install", "vicinal"]]);
});

test("an interpreter installs into our folder, never into its own", () => {
  const way = intoOwnFolder(machine([]), "/usr/bin/python3", "/src/vicinal");
  assert.deepEqual(way.commands[0], ["/usr/bin/python3", "-m", "venv", "/storage/environment"]);
  assert.equal(way.commands[1]?.[0], "/storage/environment/bin/python");
  assert.equal(way.commands[1]?.at(-1), "/src/vicinal");
});

test("Windows has other names for all of it", () => {
  const windows = machine(["C:\\bin\\vicinal.exe", "C:\\py\\python.exe"], {
    platform: "win32", environment: { Path: "C:\\py;C:\\bin" }, home: "C:\\Users\\you", storage: "C:\\storage",
  });
  assert.deepEqual(findVicinal(windows, ""), { path: "C:\\bin\\vicinal.exe" });
  assert.equal(waysToInstall(windows, "vicinal")[0]?.commands[1]?.[0], "C:\\storage\\environment\\Scripts\\python.exe");
});
