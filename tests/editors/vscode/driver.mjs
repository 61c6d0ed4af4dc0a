// A browser that is told what to do: one JSON command a line on stdin, one JSON answer a line on stdout.
//
// `node driver.mjs DRIVER CHROMIUM`. It knows nothing of VS Code: `page` methods with their arguments are called as they
// come, and what fails is answered as {"error"}.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [driver, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${driver}/package.json`)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
page.setDefaultTimeout(120_000);
const said = [];
page.on("console", (message) => said.push(message.text()));

const actions = {
  goto: (url) => page.goto(url).then(() => null),
  type: (text, delay) => page.keyboard.type(text, { delay }).then(() => null),
  press: (key) => page.keyboard.press(key).then(() => null),
  click: (selector) => page.locator(selector).first().click().then(() => null),
  hover: (selector) => page.locator(selector).first().hover().then(() => null),
  // The texts of all elements that match, in the order of the page.
  texts: (selector) => page.evaluate((found) => [...document.querySelectorAll(found)].map((one) => one.textContent), selector),
  // Waits until `expression`, a function of the page, is true of the argument.
  until: (expression, argument, timeout) =>
    page.waitForFunction(new Function("argument", `return (${expression})(argument)`), argument, { timeout, polling: 100 }).then(() => null),
  evaluate: (expression, argument) => page.evaluate(new Function("argument", `return (${expression})(argument)`), argument),
  screenshot: (path, clip) => page.screenshot({ path, ...(clip ? { clip } : {}) }).then(() => null),
  console: async () => said.splice(0),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line);
  let answer;
  try {
    answer = { value: (await actions[name](...args)) ?? null };
  } catch (error) {
    answer = { error: String(error.message) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
