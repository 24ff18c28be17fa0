// Several recordings as one: the hosts and their clocks, each flow with the ladder and the verdict of both sides.

import { h } from "./dom.js";
import { count, took } from "./format.js";
import { ladder, verdict } from "./report.js";
import { picture } from "./trace.js";

// merged is what several recordings tell together.
export function merged({ result: r, drawing }, about) {
  return [
    r.remarks.length
      ? h(
          "ul",
          { class: "card remarks" },
          r.remarks.map((t) => h("li", {}, t)),
        )
      : null,
    h(
      "section",
      { class: "card", "aria-label": "Hosts" },
      h("h2", {}, "Hosts"),
      h(
        "div",
        { class: "scroll" },
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["Host", "Tunnel", "Recording", "Events", "Missing"].map((c, i) =>
                h("th", { scope: "col", class: i > 2 ? "n" : "" }, c),
              ),
            ),
          ),
          h(
            "tbody",
            {},
            r.hosts.map((x) =>
              h(
                "tr",
                {},
                h("td", {}, x.name),
                h("td", {}, x.interface),
                h("td", {}, x.file),
                h("td", { class: "n" }, count(x.events)),
                h("td", { class: "n" }, count(x.missing_events)),
              ),
            ),
          ),
        ),
      ),
      r.clocks.map((c) => h("p", { class: "clock" }, clockText(c))),
    ),
    r.flows.map((f, i) =>
      h(
        "section",
        { class: "flow-result", "aria-label": `Flow to ${f.target}` },
        h("h2", {}, `${f.proto} ${f.client} → ${f.target}`),
        verdict(f.verdict),
        h(
          "div",
          { class: i === 0 ? "split even" : "" },
          h("div", {}, ladder(f.ladder, about), hops(f.hops)),
          i === 0 ? picture(drawing, `Messages between the hosts of the flow to ${f.target}`) : null,
        ),
      ),
    ),
    !r.flows.length ? picture(drawing, "Messages between the hosts") : null,
    r.links.map((l) =>
      l.verdict
        ? h(
            "section",
            { "aria-label": `Handshakes of ${l.a} and ${l.b}` },
            h("h2", {}, `Handshakes of ${l.a} and ${l.b}`),
            verdict(l.verdict),
          )
        : null,
    ),
  ];
}

function clockText(c) {
  const [lo, hi] = c.offset_ns;
  if (c.set) return `The clock of ${c.host} or ${c.to} was set meanwhile.`;
  if (lo === null || hi === null)
    return `How the clock of ${c.host} lies to that of ${c.to} is not known: messages went in one direction only.`;
  const ms = (ns) => (ns / 1e6).toFixed(3);
  const trip = c.round_trip_ns ? `; the shortest round trip is ${took(c.round_trip_ns)}` : "";
  return `The clock of ${c.host} is ahead of that of ${c.to} by ${ms(lo)} to ${ms(hi)} ms${trip}.`;
}

function hops(list) {
  return list.map((x) =>
    h(
      "section",
      { class: "card", "aria-label": `From ${x.a} to ${x.b}` },
      h("h2", {}, `${x.a} → ${x.b}`),
      h(
        "div",
        { class: "scroll" },
        h(
          "table",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["Direction", "Sent", "Arrived", "Lost", "Unknown", "Twice", "Overtaken", "Took (median)"].map((c) =>
                h("th", { scope: "col", class: c === "Direction" ? "" : "n" }, c),
              ),
            ),
          ),
          h(
            "tbody",
            {},
            [
              ["forth", x.forth],
              ["back", x.back],
            ].map(([way, l]) =>
              h(
                "tr",
                { class: l.lost ? "bad" : "" },
                h("td", {}, way),
                [l.sent, l.arrived, l.lost, l.unknown, l.duplicated, l.reordered].map((n) => h("td", { class: "n" }, count(n))),
                h("td", { class: "n" }, median(l.delay_ns)),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

function median(d) {
  const [lo, hi] = d?.median ?? [null, null];
  if (lo === null || hi === null) return "–";
  return lo === hi ? took(lo) : `${took(Math.max(lo, 0))} to ${took(hi)}`;
}
