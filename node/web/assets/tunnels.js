// All tunnels, and of each its peers, faults first.

import { h, put, keyed, text, announce } from "./dom.js";
import { live } from "./net.js";
import { age, bytes, count, label, plural, rate, shortKey, took } from "./format.js";
import { code, mood } from "./report.js";
import { History, spark } from "./spark.js";
import { offerReload } from "./change.js";

export const title = "Tunnels";

const states = ["failing", "degraded", "handshaking", "up", "stale", "never-seen"];
const columns = ["", "Peer", "State", "Handshake", "Endpoint", "Round trip", "In", "Out", "Verdict"];
const numbers = new Set(["Handshake", "Round trip", "In", "Out"]);
const step = 100;

export function show(main, { about, params, go }) {
  const want = { peer: params.get("peer") ?? "", state: params.get("state") ?? "", sort: params.get("sort") ?? "", limit: step };
  const list = h("div", {}, h("p", { class: "wait" }, "Looking at the tunnels of this host …"));
  const problem = h("div", {});
  const find = h("input", {
    type: "search",
    "data-first": true,
    placeholder: "name, or beginning of a key",
    "aria-label": "Find a peer",
    value: want.peer,
  });
  const sort = h(
    "select",
    { "aria-label": "Order of peers" },
    [
      ["", "faults first"],
      ["name", "by name"],
      ["handshake", "latest handshake"],
      ["rate", "most traffic now"],
      ["bytes", "most bytes"],
      ["rtt", "longest round trip"],
    ].map(([v, words]) => h("option", { value: v }, words)),
  );
  sort.value = want.sort;
  const chips = h(
    "div",
    { class: "chips", role: "group", "aria-label": "States" },
    ["", ...states].map((st) => {
      const b = h(
        "button",
        { type: "button", class: st || "all", "aria-pressed": String(want.state === st), click: () => change({ state: st }) },
        st || "all",
      );
      b.dataset.state = st;
      return b;
    }),
  );
  put(
    main,
    h(
      "div",
      { class: "bar" },
      h("h1", {}, "Tunnels"),
      h(
        "form",
        {
          class: "tools",
          role: "search",
          submit: (e) => {
            e.preventDefault();
            change({ peer: find.value.trim() });
          },
        },
        find,
        sort,
      ),
      chips,
    ),
    problem,
    list,
  );
  sort.addEventListener("change", () => change({ sort: sort.value }));
  find.addEventListener("search", () => change({ peer: find.value.trim() }));

  const seen = { verdicts: new Map(), rates: new Map() };
  let stop = null;
  function change(by) {
    Object.assign(want, { limit: step }, by);
    for (const b of chips.children) b.setAttribute("aria-pressed", String(b.dataset.state === want.state));
    go("", { peer: want.peer, state: want.state, sort: want.sort }, { replace: true });
    open();
  }
  function open() {
    stop?.();
    const q = { limit: want.limit };
    for (const k of ["peer", "state", "sort"]) if (want[k]) q[k] = want[k];
    stop = live(
      "overview",
      q,
      (all, now) => {
        put(problem, all.unseen?.length ? unseen(all.unseen) : null);
        paint(list, all, now, seen, { more: () => change({ limit: want.limit + step }), want, about });
      },
      (err) => put(problem, h("p", { class: "trouble", role: "alert" }, err)),
    );
  }
  open();
  return () => stop?.();
}

function paint(list, all, now, seen, opt) {
  list.querySelector(".wait")?.remove();
  if (!all.tunnels.length) {
    put(
      list,
      h(
        "p",
        { class: "card empty" },
        "No tunnel is up on this host, or none that this user may see. ",
        h("code", {}, "wgnode up CONF"),
        " brings one up.",
      ),
    );
    return;
  }
  list.querySelector(".empty")?.remove();
  keyed(
    list,
    all.tunnels,
    (t) => t.interface,
    (t) => make(t, opt),
    (el, t) => update(el, t, now, seen, opt),
  );
  news(all, seen);
}

// unseen is what could not be looked at. It stays as it is folded.
function unseen(list) {
  return h("p", { class: "notes" }, `Not all could be looked at: ${list.join("; ")}`);
}

// news says to those who hear the page which verdicts have changed.
function news(all, seen) {
  const said = [];
  for (const t of all.tunnels) {
    for (const p of t.peers) {
      const k = `${t.interface} ${p.public_key}`;
      const is = p.verdict?.code ?? "";
      const was = seen.verdicts.get(k);
      if (was !== undefined && is && was !== is) said.push(`${label(p.name, p.public_key)}: ${p.verdict.summary || is}`);
      seen.verdicts.set(k, is);
    }
  }
  if (said.length) announce(said.slice(0, 3).join(". ") + (said.length > 3 ? `, and ${said.length - 3} more` : ""));
}

function make(t, opt) {
  const el = h("section", { class: "card tunnel", "aria-label": `Tunnel ${t.interface}` });
  const parts = {
    name: h("h2", {}, t.interface),
    kind: h("span", { class: "tag" }),
    facts: h("span", { class: "facts" }),
    spark: spark("traffic of the latest minute"),
    rates: h("span", { class: "rates" }),
    counts: h("div", { class: "counts" }),
    body: h("tbody", {}),
    rest: h("div", { class: "rest" }),
    problem: h("div", {}),
    reload: t.kind === "wgnode" && t.state === "running" ? offerReload(opt.about, t.interface) : null,
  };
  parts.table = h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { class: "peers" },
      h("caption", { class: "unseen" }, `Peers of ${t.interface}`),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((c) =>
            h("th", { scope: "col", class: numbers.has(c) ? "n" : "" }, c || h("span", { class: "unseen" }, "State at a glance")),
          ),
        ),
      ),
      parts.body,
    ),
  );
  el.append(
    h("header", {}, parts.name, parts.kind, parts.facts, h("span", { class: "now" }, parts.spark, parts.rates)),
    parts.counts,
    parts.reload ?? "",
    parts.problem,
    parts.table,
    parts.rest,
  );
  el.parts = parts;
  el.history = new History();
  return el;
}

function update(el, t, now, seen, opt) {
  const p = el.parts;
  el.dataset.state = t.state;
  text(p.kind, [t.kind === "kernel" ? "kernel" : t.kind, t.state === "running" ? t.level : t.state].filter(Boolean).join(" · "));
  p.kind.title = t.less || "";
  text(
    p.facts,
    [
      t.listen_port ? `port ${t.listen_port}` : "",
      t.netstack ? "in a network stack of its own" : "",
      t.user ? `of ${t.user}` : "",
      t.pid ? `pid ${t.pid}` : "",
      t.public_key ? `key ${shortKey(t.public_key)}` : "",
    ]
      .filter(Boolean)
      .join(" · "),
  );
  el.history.add(t.rates);
  p.spark.draw(el.history.in, el.history.out);
  text(p.rates, t.rates ? `↓ ${rate(t.rates.rx)}  ↑ ${rate(t.rates.tx)}` : "");
  keyed(
    p.counts,
    [...states.filter((s) => t.counts?.[s]).map((s) => ({ s, n: t.counts[s] }))],
    (c) => c.s,
    (c) => h("span", { class: `count ${c.s}` }, h("b", {}), ` ${c.s}`),
    (c, item) => text(c.firstElementChild, count(item.n)),
  );
  const problem = [t.error, ...(t.advice ?? [])].filter(Boolean).join("\n");
  if (p.problem.dataset.was !== problem) {
    p.problem.dataset.was = problem;
    put(
      p.problem,
      t.error ? h("p", { class: "trouble" }, t.error) : null,
      t.advice?.map((a) => h("p", { class: "advice" }, h("code", {}, a))),
    );
  }
  p.table.hidden = !t.peers.length;
  keyed(
    p.body,
    t.peers,
    (q) => q.public_key,
    (q) => makePeer(t, q),
    (row, q) => updatePeer(row, q, now),
  );
  const rest = [];
  if (t.idle_left) rest.push(`${count(t.idle_left)} of ${plural(t.total, "peer")} idle, and not listed`);
  if (t.left) rest.push(`${count(t.left)} more`);
  if (!t.peers.length && !t.error && t.total) rest.push(opt.want.peer || opt.want.state ? "no peer that is asked for" : "");
  const words = rest.filter(Boolean).join(" · ");
  if (p.rest.dataset.was !== words) {
    p.rest.dataset.was = words;
    put(
      p.rest,
      words,
      t.left && opt.want.limit < 1000 ? h("button", { type: "button", class: "plain", click: opt.more }, "Show more") : null,
    );
  }
}

function makePeer(t, p) {
  const cells = columns.map((c) => h("td", { class: numbers.has(c) ? "n" : "", "data-label": c }));
  const name = h("a", { class: "row", href: `peer?${new URLSearchParams({ tunnel: t.interface, key: p.public_key })}` });
  cells[0].append(h("span", { class: "dot", "aria-hidden": "true" }));
  cells[1].append(name);
  const row = h("tr", {}, cells);
  row.cells_ = cells;
  row.name_ = name;
  return row;
}

function updatePeer(row, p, now) {
  const c = row.cells_;
  row.dataset.state = p.state;
  row.dataset.mood = p.verdict ? mood(p.verdict) : "";
  text(row.name_, label(p.name, p.public_key));
  row.name_.title = p.public_key;
  text(c[2], p.state);
  text(c[3], age(p.handshake, now));
  text(c[4], p.endpoint ?? "–");
  text(c[5], took(p.rtt?.took_ns));
  text(c[6], rate(p.rates?.rx));
  text(c[7], rate(p.rates?.tx));
  c[6].title = bytes(p.rx_bytes);
  c[7].title = bytes(p.tx_bytes);
  const v = p.verdict;
  const now_ = v && mood(v) === "bad" ? `${v.code} ${v.certain} ${v.summary}` : "";
  if (c[8].dataset.was !== now_) {
    c[8].dataset.was = now_;
    put(
      c[8],
      now_
        ? [
            code(v.code),
            v.certain ? null : h("span", { class: "unsure", title: "likely, not proven" }, "?"),
            h("span", { class: "why" }, v.summary),
          ]
        : null,
    );
  }
}
