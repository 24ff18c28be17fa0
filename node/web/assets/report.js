// What explain, doctor and merge say: a verdict with its evidence, what to do, and the ladder.

import { h, copyButton } from "./dom.js";
import { clock, label } from "./format.js";

const marks = { pass: "✓", fail: "✗", unknown: "?", "not-needed": "–" };
const words = { pass: "passed", fail: "missing", unknown: "not seen", "not-needed": "not needed" };
const known = {
  authenticated: "proven by cryptography",
  kernel: "told by this host's kernel",
  secret: "tied to a secret of ours",
  claimed: "claimed by the network",
  inferred: "inferred",
};

export const code = (c) => h("a", { class: "code", href: `verdict?code=${encodeURIComponent(c)}` }, c);

// mood is how a verdict is painted.
export function mood(v) {
  if (!v) return "idle";
  if (v.healthy || v.code === "healthy") return "good";
  return v.code === "idle" ? "idle" : "bad";
}

// Which of two preshared keys is the wrong one neither shows.
const place = (v) => (v.code === "psk-mismatch" ? "at either end" : (where[v.where] ?? v.where));
const where = { here: "on this host", path: "on the path", peer: "at the peer", beyond: "beyond the peer" };

// verdict is a whole verdict. extra stands beside what to do.
export function verdict(v, extra) {
  const m = mood(v);
  const about = [];
  if (m === "bad") about.push(h("span", { class: v.certain ? "tag sure" : "tag" }, v.certain ? "certain" : "likely, not proven"));
  if (v.checkpoint) about.push(h("span", {}, `at ${v.checkpoint}`));
  if (v.where && m === "bad") about.push(h("span", {}, place(v)));
  if (v.host) about.push(h("span", {}, `“this host” is ${v.host}`));
  return h(
    "section",
    { class: `card verdict ${m}`, "aria-label": "Verdict" },
    h(
      "div",
      { class: "verdict-head" },
      h("span", { class: "mark", "aria-hidden": "true" }, m === "good" ? "✓" : m === "bad" ? "✗" : "–"),
      code(v.code),
      h("span", { class: "about" }, about),
    ),
    h("p", { class: "summary" }, v.summary),
    v.evidence?.length
      ? [
          h("h3", {}, "Evidence"),
          h(
            "ul",
            { class: "evidence" },
            v.evidence.map((line, i) => evidence(line, v.known?.[i])),
          ),
        ]
      : null,
    v.candidates?.length
      ? [
          h("h3", {}, "One of these"),
          h(
            "ul",
            { class: "candidates" },
            v.candidates.map((c) => h("li", {}, code(c.code), h("span", {}, c.check))),
          ),
        ]
      : null,
    steps(v.steps, v.fix),
    extra,
  );
}

function evidence(line, how) {
  return h("li", {}, h("span", {}, line), how ? h("span", { class: `known ${how}`, title: known[how] ?? how }, how) : null);
}

// steps are what to do: lines to type together, notes above them.
export function steps(list, lines) {
  if (!list?.length) return lines?.length ? todo([h("pre", {}, lines.join("\n"))]) : null;
  const blocks = [];
  let block = null;
  for (const s of list) {
    if (s.kind === "note") {
      blocks.push(h("p", { class: "note" }, s.note));
      block = null;
      continue;
    }
    const config = s.kind === "config";
    const place = placeOf(s.where, config);
    if (!block || block.place !== place || block.kind !== (config ? "config" : "command")) {
      block = { place, kind: config ? "config" : "command", lines: [] };
      blocks.push(block);
    }
    block.lines.push(config ? (s.key ? `${s.key} = ${s.value ?? ""}` : `[${s.where?.section ?? s.value}]`) : s.command);
  }
  return todo(
    blocks.map((b) =>
      b instanceof Node
        ? b
        : h(
            "figure",
            { class: `type ${b.kind}` },
            b.place ? h("figcaption", {}, b.place) : null,
            h("pre", {}, b.lines.join("\n")),
            copyButton(b.lines.join("\n"), b.kind === "config" ? "the lines" : "the command"),
          ),
    ),
  );
}

function todo(children) {
  return [h("h3", {}, "What to do"), h("div", { class: "steps" }, children)];
}

function placeOf(w, config) {
  if (!w) return "";
  const on = w.host ? `on ${w.host}` : "";
  if (!config) return on;
  const peer = w.peer_name || w.peer;
  return [w.section ? `in [${w.section}]${peer ? ` of ${label(w.peer_name, w.peer)}` : ""}` : "", w.file, on]
    .filter(Boolean)
    .join(", ");
}

// ladder is that of a report; about has the words for checkpoints.
export function ladder(rungs, about) {
  if (!rungs?.length) return null;
  const hosts = rungs.some((r) => r.host);
  return h(
    "section",
    { class: "card", "aria-label": "Ladder of checkpoints" },
    h("h2", {}, "Ladder"),
    h(
      "ol",
      { class: "ladder" },
      rungs.map((r) =>
        h(
          "li",
          { class: r.status },
          h("span", { class: "mark", "aria-hidden": "true" }, marks[r.status] ?? "?"),
          h("span", { class: "cp" }, r.checkpoint),
          h(
            "span",
            { class: "what" },
            h("span", { class: "unseen" }, `${words[r.status] ?? r.status}: `),
            h("span", { class: "title" }, about.checkpoints[r.checkpoint] ?? r.checkpoint),
            r.detail && r.detail !== about.checkpoints[r.checkpoint] ? h("span", { class: "detail" }, r.detail) : null,
          ),
          h(
            "span",
            { class: "side" },
            hosts ? h("span", { class: "host" }, r.host) : r.seam,
            r.time ? h("time", { datetime: r.time }, clock(r.time)) : null,
          ),
        ),
      ),
    ),
  );
}

// findings are what else is wrong with the configuration on this host.
export function findings(list, unchecked) {
  if (!list?.length && !unchecked?.length) return null;
  return h(
    "section",
    { class: "card", "aria-label": "Findings" },
    list?.length
      ? [
          h("h2", {}, "Findings"),
          list.map((f) =>
            h(
              "div",
              { class: f.failing ? "finding bad" : "finding" },
              h("p", {}, code(f.code), " ", f.summary, f.failing ? h("span", { class: "tag sure" }, "packets fail by it") : null),
              steps(f.steps, f.fix),
            ),
          ),
        ]
      : null,
    unchecked?.length
      ? h(
          "details",
          {},
          h("summary", {}, `${unchecked.length} not looked at`),
          h(
            "ul",
            {},
            unchecked.map((u) => h("li", {}, u)),
          ),
        )
      : null,
  );
}

export function drops(map) {
  const all = Object.entries(map ?? {}).sort((a, b) => b[1] - a[1]);
  if (!all.length) return null;
  return h(
    "section",
    { class: "card", "aria-label": "Dropped packets" },
    h("h2", {}, "Dropped"),
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Reason"), h("th", { scope: "col", class: "n" }, "Packets"))),
      h(
        "tbody",
        {},
        all.map(([why, n]) => h("tr", {}, h("td", {}, why), h("td", { class: "n" }, n.toLocaleString("en-US")))),
      ),
    ),
  );
}

export function trouble(words) {
  return h("p", { class: "trouble", role: "alert" }, words);
}
