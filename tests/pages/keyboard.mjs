// The pages by keyboard alone, in a real browser: what Tab reaches, in which order, whether one sees where one is, and
// that Enter, Space and Escape do what they should.
// Usage: node --experimental-websocket tests/pages/keyboard.mjs        (needs chromium and node from 20.10)
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const work = mkdtempSync(join(tmpdir(), "keyboard-"));
const server = spawn("cargo", ["test", "--quiet", "--test", "http", "--", "--ignored", "--nocapture", "serve_fixture"],
  { stdio: ["pipe", "pipe", "inherit"] });
const browser = spawn("chromium", ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
  "--disable-background-networking", "--remote-debugging-port=0", "--window-size=1280,900",
  `--user-data-dir=${join(work, "profile")}`, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });

const line = (stream, pattern) => new Promise((resolve, reject) => {
  createInterface({ input: stream }).on("line", (text) => { const found = pattern.exec(text); if (found) resolve(found[1]); })
    .on("close", () => reject(new Error(`ended before ${pattern}`)));
});

let failures = 0;
function check(is, what) {
  console.log(`${is ? "ok  " : "FAIL"} ${what}`);
  if (!is) failures += 1;
}

async function main() {
  const [address, debug] = await Promise.all(
    [line(server.stdout, /^serving (\S+)/), line(browser.stderr, /DevTools listening on ws:\/\/([^/]+)/)]);
  const [target] = (await (await fetch(`http://${debug}/json`)).json()).filter((one) => one.type === "page");
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  const answers = new Map();
  const loaded = [];
  let id = 0;
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.method === "Page.loadEventFired") loaded.splice(0).forEach((resolve) => resolve());
    if (answers.has(message.id)) answers.get(message.id)(message.result);
  });
  const call = (method, params = {}) => new Promise((resolve) => {
    id += 1;
    answers.set(id, resolve);
    socket.send(JSON.stringify({ id, method, params }));
  });
  const value = async (expression) =>
    (await call("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true })).result.value;
  const open = async (path) => {
    const shown = new Promise((resolve) => loaded.push(resolve));
    await call("Page.navigate", { url: `http://${address}${path}` });
    await shown;
  };
  const KEYS = { Tab: 9, Enter: 13, Escape: 27, " ": 32 };
  const press = async (key, modifiers = 0) => {
    const text = { Enter: "\r", " ": " " }[key];
    const of = { key, code: key === " " ? "Space" : key, windowsVirtualKeyCode: KEYS[key], modifiers, text };
    await call("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", ...of });
    await call("Input.dispatchKeyEvent", { type: "keyUp", ...of });
    await value("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))");
  };
  // What has the focus: who it is, where it stands, whether one sees it.
  const FOCUS = `(() => {
    const e = document.activeElement;
    const card = e.querySelector && e.querySelector(".card, .ctl, rect");
    const style = getComputedStyle(e), inner = card ? getComputedStyle(card) : null;
    const box = e.getBoundingClientRect();
    const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    return { tag: e.nodeName.toLowerCase(), cls: e.getAttribute("class") || "", href: e.getAttribute("href") || "", id: e.id,
      area: e.closest("header") ? 0 : e.closest("main") ? 1 : e.closest("footer") ? 2 : 0,
      isInGraph: !!e.closest("svg.dag"), isRow: e.matches(".g-row"), isSummary: e.matches("details.menu > summary"),
      isSeen: box.width > 0 && box.height > 0 && (outline || (inner && (inner.strokeWidth === "3px" || e.closest("svg")))) };
  })()`;

  await call("Page.enable");
  const report = encodeURIComponent("日报_订单");
  for (const path of ["/", `/w/${report}`, "/i/10342", "/links", "/cluster"]) {
    await open(path);
    await press("Tab");
    check((await value(FOCUS)).cls === "skip", `${path}: the first stop skips to the content`);
    const stops = [];
    for (let n = 0; n < 400; n += 1) {
      const stop = await value(FOCUS);
      if (stop.tag === "body" || (n > 0 && stop.cls === "skip")) break;
      stops.push(stop);
      await press("Tab");
    }
    const unseen = stops.filter((stop) => !stop.isSeen).map((stop) => `${stop.tag}.${stop.cls} ${stop.href}`);
    check(unseen.length === 0, `${path}: the focus is seen at each of ${stops.length} stops ${unseen.slice(0, 5)}`);
    check(stops.every((stop, at) => at === 0 || stop.area >= stops[at - 1].area), `${path}: head, content, foot in order`);
    if (path !== "/" && path !== "/cluster" && path !== "/links") check(stops.some((stop) => stop.isInGraph), `${path}: nodes of the graph are reached`);
    if (path === "/i/10342") check(stops.some((stop) => stop.isRow), `${path}: bars of the timeline are reached`);

    await open(path);
    await press("Tab");
    await press("Enter");
    check(await value("document.activeElement.id") === "main", `${path}: the skip link leads to the content`);
    await press("Tab");
    check((await value(FOCUS)).area === 1, `${path}: Tab goes on in the content`);

    await open(path);
    await value("document.querySelector('details.menu > summary').focus()");
    await press(" ");
    check(await value("!!document.querySelector('details.menu[open]')"), `${path}: Space opens a menu`);
    await press("Escape");
    check(await value("!document.querySelector('details.menu[open]') && document.activeElement.matches('summary')"),
      `${path}: Escape closes it and stays there`);
  }

  await open(`/w/${report}`);
  await value("document.querySelector('a[href=\"#trigger\"]').focus()");
  await press("Enter");
  check(await value("!!document.activeElement.closest('#trigger')"), "a dialog takes the focus");
  await press("Tab", 8);
  check(await value("!!document.activeElement.closest('#trigger')"), "Tab stays inside it");
  await press("Escape");
  check(await value("!document.querySelector('.dialog:target') && document.activeElement.getAttribute('href') === '#trigger'"),
    "Escape closes it and gives the focus back");

  await open("/i/10342");
  await value("document.querySelector('svg.dag a').focus()");
  const led = new Promise((resolve) => loaded.push(resolve));
  await press("Enter");
  await led;
  check((await value("location.search")).startsWith("?node="), "Enter on a node of the graph opens it");
}

try {
  await main();
} finally {
  server.stdin.end();
  browser.kill();
  await new Promise((resolve) => browser.on("exit", resolve));
  rmSync(work, { recursive: true, force: true });
}
if (failures > 0) { console.log(`${failures} failed`); process.exitCode = 1; }
