// The page: which view its address stands for, and the keys.

import { base, get } from "./net.js";
import { h, put } from "./dom.js";
import * as tunnels from "./tunnels.js";
import * as peer from "./peer.js";
import * as flow from "./flow.js";
import * as explain from "./explain.js";
import * as trace from "./trace.js";
import * as recordings from "./recordings.js";
import * as verdicts from "./verdicts.js";

const views = {
  "": tunnels,
  peer,
  flow,
  explain,
  trace,
  recordings,
  recording: recordings.one,
  verdicts,
  verdict: verdicts.one,
};
const main = document.getElementById("main");
let stop = null; // of the view that is shown
let shown = 0;

function here() {
  return location.pathname.slice(base.pathname.length);
}

// show has the page be what its address says. Focus goes to it, so that a reader begins there.
async function show(first) {
  stop?.();
  stop = null;
  const turn = ++shown;
  const name = here();
  const view = views[name] ?? verdicts.nowhere;
  for (const a of document.querySelectorAll(".top nav a")) {
    const own = new URL(a.href).pathname.slice(base.pathname.length);
    if (own === (view.under ?? name)) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  put(main);
  document.title = `${view.title} · wgnode`;
  const ctx = { about: await about, go, again: () => show(), params: new URLSearchParams(location.search) };
  if (turn !== shown) return;
  const end = view.show(main, ctx);
  stop = typeof end === "function" ? end : null;
  if (!first) main.focus({ preventScroll: true });
  if (!first) scrollTo(0, 0);
}

export function go(path, params, { replace } = {}) {
  const url = new URL(path, base);
  for (const [k, v] of Object.entries(params ?? {})) if (v) url.searchParams.set(k, v);
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  if (!replace) show();
}

document.addEventListener("click", (e) => {
  const a = e.target.closest("a[href]");
  if (!a || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey || a.target) return;
  const url = new URL(a.href);
  if (url.origin !== location.origin || !url.pathname.startsWith(base.pathname) || url.hash) return;
  if (!(url.pathname.slice(base.pathname.length) in views)) return; // a drawing, say
  e.preventDefault();
  history.pushState(null, "", url);
  show();
});
addEventListener("popstate", () => show());

// Keys. They do nothing while something is typed, or with a key of the browser's held.
const keys = document.getElementById("keys");
document.getElementById("help").addEventListener("click", () => keys.showModal());
const goes = { t: "", f: "flow", e: "explain", w: "trace", r: "recordings", v: "verdicts" };
let leading = 0; // when g was typed

function row(step) {
  const rows = [...main.querySelectorAll("tbody a.row, tbody button.row")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + step, 0), rows.length - 1)].focus();
}

document.addEventListener("keydown", (e) => {
  const typing = e.target.closest("input, textarea, select");
  if (e.key === "Escape" && typing) return typing.blur();
  if (typing || keys.open || e.ctrlKey || e.metaKey || e.altKey) return;
  const led = performance.now() - leading < 1500;
  leading = 0;
  if (led && e.key in goes) go(goes[e.key]);
  else if (e.key === "g") leading = performance.now();
  else if (e.key === "?") keys.showModal();
  else if (e.key === "j") row(1);
  else if (e.key === "k") row(-1);
  else if (e.key === "/") main.querySelector("[data-first]")?.focus();
  else if (e.key === "e") main.querySelector("[data-explain]")?.click();
  else return;
  e.preventDefault();
});

const about = get("about").catch((err) => {
  put(main, h("p", { class: "trouble", role: "alert" }, err.message));
  return new Promise(() => {}); // there is nothing to show
});
show(true);
