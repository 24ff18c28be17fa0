// One peer: how it fares now, and doctor's report of it.

import { h, put, text, announce } from "./dom.js";
import { get, live } from "./net.js";
import { age, bytes, date, label, rate, took } from "./format.js";
import { drops, findings, ladder, trouble, verdict } from "./report.js";
import { History, spark } from "./spark.js";

export const title = "Peer";
export const under = "";

export function show(main, { about, params }) {
  const tunnel = params.get("tunnel") ?? "";
  const key = params.get("key") ?? "";
  const name = h("h1", {}, label("", key));
  const state = h("span", { class: "tag state" });
  const facts = h("dl", { class: "facts-list" });
  const drawing = spark("traffic of the latest minute");
  const report = h("div", {}, h("p", { class: "wait" }, "Asking doctor …"));
  const problem = h("div", {});
  const explainLink = h(
    "a",
    { class: "button", "data-explain": true, href: `explain?${new URLSearchParams({ tunnel })}` },
    "Explain",
  );
  const again = h("button", { type: "button", click: () => ask() }, "Look again");
  put(
    main,
    h("p", { class: "crumbs" }, h("a", { href: "./" }, "Tunnels"), " / ", tunnel),
    h(
      "div",
      { class: "bar" },
      name,
      state,
      h(
        "span",
        { class: "tools" },
        explainLink,
        h("a", { class: "button", href: `flow?${new URLSearchParams({ tunnel, filter: `peer ${key}` })}` }, "Watch its flows"),
        again,
      ),
    ),
    problem,
    h("section", { class: "card now-card", "aria-label": "Now" }, facts, drawing),
    report,
  );

  const history = new History();
  const gone = new AbortController();
  let verdictWas;
  let asked = 0;

  async function ask() {
    const turn = ++asked;
    again.disabled = true;
    try {
      const r = await get("peer", { tunnel, key }, gone.signal);
      if (turn !== asked) return;
      put(
        report,
        h("p", { class: "at" }, `Doctor, ${date(r.at)}: from what has passed; nothing was sent`),
        verdict(r.peer.verdict),
        ladder(r.peer.ladder, about),
        findings(r.findings),
        h("div", { class: "split even" }, place(r.peer.endpoint), drops(r.peer.drops)),
      );
    } catch (err) {
      if (err.name !== "AbortError") put(report, trouble(err.message));
    } finally {
      again.disabled = false;
    }
  }

  const stop = live(
    "overview",
    { tunnel, peer: key },
    (all, now) => {
      const t = all.tunnels[0];
      const p = t?.peers[0];
      put(
        problem,
        t?.error ? trouble(t.error) : null,
        t && !p && !t.error ? trouble("The tunnel has no such peer any more.") : null,
      );
      if (!p) return;
      const called = label(p.name, p.public_key);
      text(name, called);
      document.title = `${called} · ${tunnel} · wgnode`;
      text(state, p.state);
      state.dataset.state = p.state;
      explainLink.href = `explain?${new URLSearchParams({ tunnel, dest: destOf(p) })}`;
      history.add(p.rates);
      drawing.draw(history.in, history.out);
      fill(facts, [
        ["Public key", p.public_key],
        ["Endpoint", p.endpoint ?? "none known"],
        ["Handshake", age(p.handshake, now)],
        ["Round trip", p.rtt ? `${took(p.rtt.took_ns)} (${p.rtt.of})` : "–"],
        ["Received", `${bytes(p.rx_bytes)}, ${rate(p.rates?.rx)}`],
        ["Sent", `${bytes(p.tx_bytes)}, ${rate(p.rates?.tx)}`],
        ["AllowedIPs", p.allowed_ips?.join(", ") || "–"],
      ]);
      const is = `${p.verdict?.code} ${p.state}`;
      if (verdictWas !== undefined && verdictWas !== is) {
        announce(`${called} is ${p.state}${p.verdict ? `: ${p.verdict.summary}` : ""}`);
        ask();
      }
      verdictWas = is;
    },
    (err) => put(problem, trouble(err)),
  );
  ask();
  return () => {
    gone.abort();
    stop();
  };
}

// destOf is what explains a peer: its name, or an address that it alone has.
function destOf(p) {
  const own = p.allowed_ips?.find((a) => /\/(32|128)$/.test(a) && (a.endsWith("/32") ? !a.includes(":") : true));
  return own ? own.replace(/\/\d+$/, "") : (p.name ?? "");
}

function fill(dl, rows) {
  if (dl.children.length !== rows.length)
    put(
      dl,
      rows.map(([k]) => h("div", {}, h("dt", {}, k), h("dd", {}))),
    );
  rows.forEach(([, v], i) => text(dl.children[i].lastElementChild, v));
}

function place(e) {
  if (!e) return null;
  return h(
    "section",
    { class: "card", "aria-label": "Where it is" },
    h("h2", {}, "Where it is"),
    h(
      "p",
      {},
      h("code", {}, e.address),
      ` ${e.origin}`,
      e.written && e.written !== e.address ? `, written as ${e.written}` : "",
      e.heard ? `, heard ${date(e.heard)}` : "",
    ),
    e.earlier?.length ? h("p", {}, "Before: ", e.earlier.map((p) => `${p.address}`).join(", ")) : null,
  );
}
