// The one script. Without it every page works by reloading; with it pages follow the event stream.
// News come as "something changed": the page is fetched again and patched in place, so scroll, open menus,
// dialogs and what is being typed stay.
"use strict";

const body = document.body;
const chip = document.getElementById("live");
const REFRESH_MS = 500;

// ---- live chip and event stream ----
let stream = null;
let lastId = null;
let refreshTimer = null;
let lastRefresh = 0;
let isRefreshing = false;
let wasLost = false;
let took = 0;

function say(word, isPaused) {
  if (!chip) return;
  chip.textContent = word;
  chip.classList.toggle("paused", isPaused);
}

function connect() {
  if (!body.dataset.events || stream) return;
  const url = new URL(body.dataset.events, location.href);
  if (lastId) url.searchParams.set("from", lastId);
  stream = new EventSource(url);
  // A stream that was lost may have missed a page's worth of news; the first one begins where the page ends.
  stream.onopen = () => { say(body.dataset.live, false); if (wasLost) { wasLost = false; refresh(); } };
  stream.onerror = () => {
    wasLost = true;
    say(body.dataset.lost, true);
    // A refused stream is not tried again by the browser itself.
    if (stream && stream.readyState === EventSource.CLOSED) { disconnect(); setTimeout(connect, 3000); }
    // While masters switch, the page says how old it is.
    setTimeout(refresh, 1000);
  };
  for (const kind of ["workflow", "instance", "cluster", "reset"]) {
    stream.addEventListener(kind, (event) => { lastId = event.lastEventId; refresh(); });
  }
}

function disconnect() {
  if (stream) stream.close();
  stream = null;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) { disconnect(); say(body.dataset.paused, true); } else { connect(); refresh(); }
});

function refresh() {
  if (refreshTimer || document.hidden) return;
  // A page that is slow to fetch is fetched less often.
  const wait = Math.max(0, lastRefresh + Math.max(REFRESH_MS, 4 * took) - Date.now());
  refreshTimer = setTimeout(async () => {
    refreshTimer = null;
    if (isRefreshing) { refresh(); return; }
    isRefreshing = true;
    lastRefresh = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok) patchPage(await answer.text());
      took = Date.now() - lastRefresh;
    } catch (_) { say(body.dataset.lost, true); }
    isRefreshing = false;
  }, wait);
}

function patchPage(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const selector of ["main", ".foot"]) {
    const old = document.querySelector(selector);
    const now = fresh.querySelector(selector);
    if (old && now) patch(old, now);
  }
  document.title = fresh.title;
  startFollowing();
  askAgainWhileStale();
}

// While masters switch no event comes: look now and then whether they are back.
function askAgainWhileStale() {
  if (document.querySelector(".notice.stale[role=alert]")) setTimeout(refresh, 2000);
}

// Makes `old` look like `now` with as few changes as possible.
function patch(old, now) {
  if (old.isEqualNode(now)) return;
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName) { old.replaceWith(document.importNode(now, true)); return; }
  if (old.nodeType !== Node.ELEMENT_NODE) { if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue; return; }
  // Lines that the script added itself, and what somebody is typing, stay.
  if (old.id === "log-lines" && old.dataset.source === now.dataset.follow.split("&from=")[0] && old.dataset.source) return;
  if (old === document.activeElement && /^(INPUT|SELECT|TEXTAREA)$/.test(old.nodeName)) return;
  for (const { name } of [...old.attributes]) {
    const isOurs = name === "open" || name === "data-source" || (name === "hidden" && old.id === "follow");
    if (!now.hasAttribute(name) && !isOurs) old.removeAttribute(name);
  }
  for (const { name, value } of [...now.attributes]) {
    if (name === "hidden" && old.id === "follow") continue;
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  patchChildren(old, now);
}

function patchChildren(old, now) {
  const keyed = new Map();
  for (const child of old.children) if (child.id) keyed.set(child.id, child);
  let at = old.firstChild;
  for (const want of [...now.childNodes]) {
    const known = want.id ? keyed.get(want.id) : null;
    if (known && known !== at) old.insertBefore(known, at);
    if (known) { at = known.nextSibling; patch(known, want); continue; }
    if (at && !(at.id && now.querySelector(":scope > #" + CSS.escape(at.id)))) {
      const next = at.nextSibling;
      patch(at, want);
      at = next;
    } else {
      old.insertBefore(document.importNode(want, true), at);
    }
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

// ---- following a log ----
let logStream = null;
const LINES_MAX = 5000;

function startFollowing() {
  const list = document.getElementById("log-lines");
  if (!list || !list.dataset.follow) return;
  const source = list.dataset.follow.split("&from=")[0];
  if (list.dataset.source === source && logStream) return;
  if (logStream) logStream.close();
  list.dataset.source = source;
  const url = new URL(list.dataset.follow, location.href);
  const last = list.lastElementChild;
  if (last) url.searchParams.set("from", Number(last.id.slice(1)) + 1);
  logStream = new EventSource(url);
  const mark = document.getElementById("follow");
  logStream.onopen = () => { if (mark) mark.hidden = false; };
  logStream.addEventListener("line", (event) => addLine(list, JSON.parse(event.data)));
  logStream.addEventListener("end", () => { logStream.close(); logStream = null; list.dataset.follow = ""; if (mark) mark.hidden = true; refresh(); });
}

function addLine(list, line) {
  if (document.getElementById("L" + line.n)) return;
  const box = list.closest(".log");
  const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 40;
  const item = document.createElement("li");
  item.id = "L" + line.n;
  if (line.stream === "stderr") item.className = "err";
  const number = document.createElement("a");
  number.className = "n";
  number.href = "#L" + line.n;
  number.textContent = line.n;
  const time = document.createElement("span");
  time.className = "ts";
  time.textContent = clockOf(line.time, list.dataset.offset);
  const text = document.createElement("span");
  colour(text, line.text);
  item.append(number, time, text);
  list.append(item);
  while (list.children.length > LINES_MAX) list.firstElementChild.remove();
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}

function clockOf(time, offset) {
  const [hours, minutes] = offset.slice(1).split(":").map(Number);
  const shift = (offset[0] === "-" ? -1 : 1) * (hours * 60 + minutes) * 60000;
  return new Date(Date.parse(time) + shift).toISOString().slice(11, 23);
}

const COLOURS = { 30: "a-d", 31: "a-r", 32: "a-g", 33: "a-y", 34: "a-b", 35: "a-m", 36: "a-c", 37: "a-d" };

// Terminal colours as classes; every other control sequence is left out.
function colour(target, text) {
  const parts = text.replace(/\r+$/, "").split("\r").pop().slice(0, 8192).split(/\x1b\[([0-9;:]*)m/);
  let classes = [];
  parts.forEach((part, at) => {
    if (at % 2 === 1) {
      for (const code of (part || "0").split(/[;:]/).map(Number)) {
        if (code === 0) classes = [];
        else if (code === 1) classes = [...classes, "a-1"];
        else if (code === 39) classes = classes.filter((one) => one === "a-1");
        else if (COLOURS[code % 60]) classes = [...classes.filter((one) => one === "a-1"), COLOURS[code % 60]];
      }
      return;
    }
    const plain = part.replace(/\x1b(\[[0-9;?]*[@-~]|\][^\x07]*\x07|.)?/g, "").replace(/[\x00-\x08\x0b-\x1f]/g, "");
    if (!plain) return;
    const span = document.createElement("span");
    span.className = classes.join(" ");
    span.textContent = plain;
    target.append(span);
  });
}

// ---- menus and dialogs ----
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  const dialog = event.target.closest && event.target.classList.contains("dialog") ? event.target : null;
  if (dialog) location.hash = "main";
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
  if (document.querySelector(".dialog:target")) location.hash = "main";
});

// Following a link to a dialog takes the focus away from the link before the script hears of it.
let lastLink = null;
document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest("a[href^='#']");
  if (link && !link.closest(".dialog")) lastLink = link;
}, true);

// A menu that the focus has left would lie over what has it now.
document.addEventListener("focusin", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

let openedBy = null;
window.addEventListener("hashchange", focusDialog);

function focusDialog() {
  const dialog = document.querySelector(".dialog:target");
  if (dialog) {
    openedBy = lastLink;
    const first = dialog.querySelector("input:not([type=hidden]), select, button");
    if (first) first.focus();
  } else if (openedBy) {
    // What stands in a closed menu cannot have the focus: its menu has it then.
    const menu = openedBy.closest("details.menu");
    (menu ? menu.querySelector("summary") : openedBy).focus();
    openedBy = null;
  }
}

// Tab stays inside an open dialog.
document.addEventListener("keydown", (event) => {
  const dialog = event.key === "Tab" && document.querySelector(".dialog:target");
  if (!dialog) return;
  const items = [...dialog.querySelectorAll("a[href], input:not([type=hidden]), select, button:not([disabled])")];
  const edge = event.shiftKey ? items[0] : items[items.length - 1];
  if (document.activeElement === edge) { event.preventDefault(); (event.shiftKey ? items[items.length - 1] : items[0]).focus(); }
});

// ---- keys: / search, g then h w i l c, n next problem, f to the end of the log ----
const PLACES = { h: "/", w: "/workflows", i: "/instances", l: "/links", c: "/cluster" };
let wasG = false;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector(".dialog:target")) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.nodeName)) return;
  const isPlace = wasG && PLACES[event.key];
  wasG = event.key === "g";
  if (isPlace) { location.href = isPlace; return; }
  if (event.key === "/") { event.preventDefault(); document.getElementById("find").focus(); }
  const problem = document.getElementById("next-problem");
  if (event.key === "n" && problem) location.href = problem.href;
  const log = document.querySelector(".log");
  if (event.key === "f" && log) { log.focus(); log.scrollTop = log.scrollHeight; }
});

// A double click on a button is one request; the key in the form makes it harmless anyway.
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button[type=submit]")) setTimeout(() => { button.disabled = true; }, 0);
});

// A tall picture opens where its start, or what was chosen, stands.
const picture = document.querySelector(".dag-box");
if (picture && picture.scrollHeight > picture.clientHeight) {
  const card = picture.querySelector(".sel") || picture.querySelector("svg a");
  const at = card.getBoundingClientRect();
  const box = picture.getBoundingClientRect();
  picture.scrollTop += at.top + at.height / 2 - box.top - box.height / 2;
}

const logBox = document.querySelector(".log");
if (logBox && !location.hash.startsWith("#L")) logBox.scrollTop = logBox.scrollHeight;
connect();
startFollowing();
askAgainWhileStale();
focusDialog();
