// The guide's page and the dashboard in headless Chromium, one scenario a run:
//
//	node browser.mjs SCENARIO SETTINGS
//
// SETTINGS is a JSON object: chromium (the program), gateway (its URL), and page,
// login, device, queue, mend or got where the scenario needs them. What a scenario finds is printed;
// a failure ends the run with its reason.

import assert from "node:assert/strict";
import net from "node:net";
import { chromium } from "playwright-core";

const [name, settings] = [process.argv[2], JSON.parse(process.argv[3])];
const scenarios = { guide, foreign, dashboard, keyboard, reconnect, rules };

const browser = await chromium.launch({
  executablePath: settings.chromium,
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP foreign.example 127.0.0.1", // a site on the web, as far as the browser knows
  ],
});
// The guide's step 9: the page shows what is pushed to it.
async function guide() {
  const { page } = await open(settings.page);
  await page.waitForFunction(() => document.querySelector("#readings").textContent !== "");
  console.log(await page.textContent("#readings"));
}

// A page of another site gets nothing, neither under its own name nor under a
// name that it has made to resolve to the gateway's address.
async function foreign() {
  const page = await browser.newPage();
  let refusal = "";
  page.on("websocket", (socket) => socket.on("socketerror", (why) => (refusal = why)));
  await page.goto(settings.page);
  await page.getByText("WebSocket closed").waitFor();
  assert.match(refusal, /403/, "the WebSocket's upgrade");
  assert.equal(await page.textContent("#readings"), "");
  const api = `${settings.gateway}/prod/iotdata`;
  assert.equal(await page.evaluate((url) => fetch(url).then((answer) => answer.text(), () => "refused"), api), "refused");
  const blind = page.waitForResponse(api);
  await page.evaluate((url) => fetch(url, { mode: "no-cors" }), api).catch(() => {});
  assert.ok((await blind).ok(), "without an Origin there is an answer, which the page cannot read");

  const rebound = await page.goto(settings.gateway.replace("127.0.0.1", "foreign.example"));
  assert.equal(rebound.status(), 421, "the gateway under a name that is not its own");
}

// The dashboard with live devices; then an operator adds one. Prints its files.
async function dashboard() {
  const { page, faults } = await open(settings.gateway);
  await fleetIsLive(page);
  await deviceIsDrawn(page);
  await namesAreText(page);
  const made = await addDevice(page);
  await pictures(page);
  assert.deepEqual(faults, []);
  console.log(JSON.stringify(made));
}

async function fleetIsLive(page) {
  await row(page, "pump-07").getByText("°").waitFor();
  const values = row(page, "MyDevice001").locator(".values");
  await values.getByText("°").waitFor();
  const before = await values.textContent();
  await page.evaluate(() => (window.sameDocument = true));
  await until(async () => (await values.textContent()) !== before, "the next reading of MyDevice001");
  assert.ok(await page.evaluate(() => window.sameDocument), "the page was loaded anew");
}

async function deviceIsDrawn(page) {
  await row(page, "MyDevice001").getByRole("link").click();
  for (const field of ["temperature", "humidity"]) await page.getByLabel(`Chart of ${field}`).locator("canvas").waitFor();
  assert.equal(await page.locator(".chart").count(), 2, "one chart per numeric field");
  await page.reload();
  await page.getByRole("heading", { name: "MyDevice001" }).waitFor();
  await page.locator(".messages li").first().getByText('"temperature"').waitFor();
  const under = page.getByLabel("Chart of humidity").locator(".readout");
  await page.getByLabel("Chart of temperature").locator(".u-over").hover();
  await until(async () => /^[\d.]+ at \d\d:/.test(await under.textContent()), "the shared crosshair");
}

async function namesAreText(page) {
  await page.goto(settings.gateway);
  await row(page, settings.device).getByRole("link").click();
  await page.reload();
  await page.getByRole("heading", { name: settings.device, exact: true }).waitFor();
  await page.getByLabel("Chart of temperature").waitFor();
}

async function addDevice(page) {
  await page.goto(`${settings.gateway}/add`);
  await page.getByText("Log in to add a device").waitFor();
  await page.goto(settings.login);
  await page.getByRole("link", { name: "Add device" }).click();
  await page.getByLabel("Name").fill("added-in-browser");
  const answer = page.waitForResponse((response) => response.url().endsWith("/api/things"));
  await page.getByRole("button", { name: "Create device" }).click();
  await page.getByText("added-in-browser is created").waitFor();
  return (await answer).json();
}

// Each page in both themes and widths, into artifacts/; none may scroll sideways.
async function pictures(page) {
  const pages = { added: "", fleet: "/", device: "/devices/MyDevice001", rules: "/rules", rule: "/rules/SendToLambdaRule", editor: "/rules/new", letters: "/dead-letters", connections: "/connections", add: "/add", missing: "/nowhere" };
  for (const [title, path] of Object.entries(pages)) {
    if (path) await page.goto(settings.gateway + path);
    await page.getByRole("banner").getByText("Live", { exact: true }).waitFor();
    await page.locator("main h1").waitFor();
    await page.waitForLoadState("networkidle", { timeout: 2000 }).catch(() => {}); // the pages poll: idle is not owed
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const width of [1280, 360]) {
        await page.setViewportSize({ width, height: 800 });
        await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${title} is ${wide} pixels wide in a window of ${width}`);
        await page.screenshot({ path: `artifacts/${title}-${colorScheme}-${width}.png`, fullPage: true });
      }
    }
  }
}

// The list and a device without a mouse.
async function keyboard() {
  const { page, faults } = await open(settings.gateway);
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  await row(page, "pump-07").waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("pump");
  await row(page, "MyDevice001").waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await row(page, "MyDevice001").waitFor();
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), "MyDevice001");
  await page.keyboard.press("ArrowDown");
  assert.equal(await focused(), "pump-07");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "pump-07" }).waitFor();
  assert.equal(await focused(), "pump-07", "the page's heading is read first");
  await page.keyboard.press("Escape");
  await page.getByRole("table", { name: "Devices" }).waitFor();
  assert.equal(await focused(), "pump-07", "back in the list, at the row it was left from");
  assert.deepEqual(faults, []);
}

// The connection is cut and comes back: the page says both, and has no hole.
async function reconnect() {
  const line = new Line(new URL(settings.gateway));
  const { page } = await open(`${await line.mend()}/devices/MyDevice001`);
  await page.locator(".messages li").first().waitFor();
  await page.getByText("Live", { exact: true }).waitFor();
  const bar = page.locator(".lost-bar");
  assert.ok(await bar.isHidden());

  line.cut();
  const missed = (await stored()).length + 2;
  await bar.getByText(/^Reconnecting… showing data up to \d\d:\d\d:\d\d$/).waitFor();
  await page.screenshot({ path: "artifacts/reconnecting.png" });
  await until(async () => (await stored()).length >= missed, "two readings while the connection is cut");
  assert.ok((await shown()).length < missed, "the page cannot know them yet");

  await line.mend();
  await bar.waitFor({ state: "hidden" });
  await page.getByText("Live", { exact: true }).waitFor();
  await until(async () => (await shown()).length >= missed, "what was missed");
  const payloads = await shown();
  for (const { payload } of await stored(missed)) assert.ok(payloads.includes(JSON.stringify(payload)), `${JSON.stringify(payload)} is missing`);
  line.cut();

  async function stored(limit = 1000) {
    const answer = await fetch(`${settings.gateway}/prod/iotdata?device_id=MyDevice001&from=0&limit=${limit}`);
    return (await answer.json()).items;
  }
  async function shown() {
    return (await page.locator(".messages code").allTextContents()).map((text) => JSON.stringify(JSON.parse(text)));
  }
}

// A rule is written in the editor, followed live, and what it could not do is done
// again from the dead letters, once the queue is there.
async function rules() {
  const { page, faults } = await open(settings.gateway);
  await page.goto(settings.login);
  await writeStatement(page);
  await createRule(page);
  await followRule(page);
  await switchOff(page);
  await retryLetters(page);
  await deleteRule(page);
  // The browser reports each refusal of the statement that does not parse yet.
  assert.deepEqual(faults.filter((fault) => !/status of 400 .*\/api\/sql/.test(fault)), []);
}

async function writeStatement(page) {
  await page.getByRole("link", { name: "Rules", exact: true }).click();
  await page.getByRole("link", { name: "New rule" }).click();
  const statement = page.getByLabel("Statement", { exact: true }).locator("textarea");
  await statement.fill("SELECT device_id, temperature, 'Öl ☂ 𝄞' AS oil FORM 'sensor/data' WHERE temperature > -100");
  await page.getByText(/^Column 48: /).waitFor();
  assert.equal(await page.locator(".code-mirror mark").first().textContent(), "FORM", "what is marked");
  assert.ok(await page.getByRole("button", { name: "Create rule" }).isDisabled());
  await statement.fill((await statement.inputValue()).replace("FORM", "FROM"));
  await page.getByText("It parses.").waitFor();
  await page.locator(".samples").getByText("would fire").first().waitFor();

  await page.getByRole("button", { name: "Your message" }).click();
  await page.getByLabel("Payload", { exact: true }).fill('{"temperature": -200.50}');
  await page.getByText("It would not fire: temperature > -100 is false (temperature is -200.5").waitFor();
  await page.reload();
  await page.getByText("It would not fire: temperature > -100 is false").waitFor(); // all of it is in the URL
  await page.getByRole("button", { name: "Stored history" }).click();
  await page.getByRole("button", { name: "Run" }).click();
  await page.getByText(/^Of [\d,]+ readings it would have fired for [\d,]+/).waitFor();
}

async function createRule(page) {
  await page.getByRole("button", { name: "Create rule" }).click();
  await page.getByText("Give the rule a name.").waitFor();
  await page.getByLabel("Name", { exact: true }).fill("FromBrowser");
  await page.getByLabel("Add an action").selectOption("sqs");
  const actions = page.getByLabel("Actions", { exact: true });
  await actions.fill((await actions.inputValue()).replace(/"queueUrl": "[^"]*"/, `"queueUrl": ${JSON.stringify(settings.queue)}`));
  await page.getByRole("button", { name: "Create rule" }).click();
  await page.getByRole("heading", { name: "FromBrowser" }).waitFor();
}

async function followRule(page) {
  const fired = page.locator(".trace-row").filter({ hasText: "action failed" }).first();
  await fired.waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  const before = await page.locator(".trace-row").count();
  await fired.locator("summary").focus();
  await page.keyboard.press("Enter");
  await fired.locator(".where").getByText("temperature > -100").waitFor();
  await fired.getByText("given up: in the dead letters").waitFor();
  await page.getByRole("button", { name: /^Resume \(\d+ new\)$/ }).waitFor();
  assert.equal(await page.locator(".trace-row").count(), before, "paused, the list stands still");
  await page.getByRole("button", { name: /^Resume/ }).click();
  await until(async () => (await page.locator(".trace-row").count()) > before, "what came during the pause");
  await page.getByRole("button", { name: "Not fired" }).click();
  await page.getByText("None of the messages so far is of this kind.").waitFor();
}

async function switchOff(page) {
  await page.getByRole("switch").click();
  await page.getByText("disabled: it does not fire").waitFor();
  await page.getByRole("button", { name: "All", exact: true }).click();
}

async function retryLetters(page) {
  const link = page.getByRole("link", { name: /^Dead letters/ });
  await link.locator(".badge").waitFor();
  await link.click();
  const letters = page.locator(".letters > li");
  await letters.first().waitFor();
  await letters.first().locator(".letter-what > a").click();
  await page.getByLabel("Body").getByText("FromBrowser").waitFor();
  await page.goBack();
  assert.equal((await fetch(settings.mend, { method: "POST" })).status, 204);
  await letters.first().waitFor();
  await page.getByLabel("Select all on this page").check();
  await page.getByRole("button", { name: "Retry" }).click();
  await page.getByText(/letters? (was|were) put back\.$/).waitFor();
  await page.getByText("No dead letter", { exact: true }).waitFor();
  await link.locator(".badge").waitFor({ state: "hidden" });
  await until(async () => (await (await fetch(settings.got)).text()).includes("Öl ☂ 𝄞"), "what was retried in the queue");
}

async function deleteRule(page) {
  await page.goto(`${settings.gateway}/rules/FromBrowser`);
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Delete it" }).click();
  await page.getByRole("heading", { name: "Rules", exact: true }).waitFor();
  await page.getByRole("link", { name: "SendToLambdaRule" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "FromBrowser" }).count(), 0);
}

// Line is a connection to the gateway that can be cut and mended: a TCP relay.
class Line {
  #server = net.createServer((near) => this.#join(near));
  #sockets = new Set();
  #port = 0;

  constructor(target) {
    this.target = target;
  }

  // mend listens, at the same address each time, and returns it as a URL.
  async mend() {
    await new Promise((listening) => this.#server.listen(this.#port, "127.0.0.1", listening));
    this.#port = this.#server.address().port;
    return `http://127.0.0.1:${this.#port}`;
  }

  cut() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near) {
    const far = net.connect(Number(this.target.port), this.target.hostname);
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}

// open shows a page, and collects what must not happen on it: errors, which include
// what the content security policy refuses, and requests to another host.
async function open(url) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const faults = [];
  const allow = (address) => {
    const { protocol, host } = new URL(address);
    if (!["blob:", "data:"].includes(protocol) && host !== new URL(url).host) faults.push(`a request to ${address}`);
  };
  page.on("console", (message) => message.type() === "error" && faults.push(`${message.text()} (${message.location().url})`));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => allow(request.url()));
  page.on("websocket", (socket) => allow(socket.url()));
  await page.goto(url);
  return { page, faults };
}

function row(page, device) {
  return page.getByRole("row").filter({ has: page.getByRole("link", { name: device, exact: true }) });
}

async function until(holds, what) {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((passed) => setTimeout(passed, 100));
  }
  assert.fail(`waited in vain for ${what}`);
}

try {
  await scenarios[name]();
} finally {
  await browser.close();
}
