// Writes the tables of settings, keys and commands in README.md from package.json; with --check only says whether they agree.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "..");
const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const { configuration, commands, keybindings } = manifest.contributes;

const table = (heads, rows) => [heads, heads.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
const escaped = (text) => text.replaceAll("|", "\\|");
const typeOf = ({ type, minimum, maximum, enum: choices }) =>
  choices ? choices.map((choice) => `\`${choice}\``).join(", ") : minimum === undefined ? type : `${type}, ${minimum} to ${maximum}`;

const settings = configuration
  .flatMap((part) => Object.entries(part.properties))
  .map(([key, value]) => [`\`${key}\``, typeOf(value), `\`${JSON.stringify(value.default)}\``, escaped(value.markdownDescription)]);
const keyOf = new Map(keybindings.map(({ command, key, mac }) => [command, mac ? `\`${key}\`, macOS \`${mac}\`` : `\`${key}\``]));
const titles = commands.map(({ command, title }) => [`Vicinal: ${title}`, `\`${command}\``, keyOf.get(command) ?? ""]);

const tables = {
  settings: table(["setting", "type", "default", "meaning"], settings),
  commands: table(["command", "id", "key"], titles),
};
const path = join(folder, "README.md");
const before = readFileSync(path, "utf8");
const after = Object.entries(tables).reduce(
  (text, [name, made]) => text.replace(new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- end -->)`), (_, begin, end) => `${begin}\n${made}\n\n${end}`),
  before,
);
if (process.argv.includes("--check")) {
  if (after !== before) {
    process.stderr.write("README.md is not what package.json says; run: npm run readme\n");
    process.exit(1);
  }
} else {
  writeFileSync(path, after);
}
