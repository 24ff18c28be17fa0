// Flows as packets pass, and the ladder of one.

import { h, put, keyed, text } from "./dom.js";
import { live } from "./net.js";
import { age, bytes, count, label, plural, rate } from "./format.js";
import { trouble } from "./report.js";
import { spark } from "./spark.js";
import { chooser } from "./choose.js";

export const title = "Flows";

const columns = ["Flow", "Peer", "Packets", "Bytes", "Dropped", "Latest"];
const numbers = new Set(["Packets", "Bytes", "Dropped", "Latest"]);

export function show(main, { params, go }) {
  const want = {
    tunnel: params.get("tunnel") ?? "",
    filter: params.get("filter") ?? "",
    flow: params.get("flow") ?? "",
    sort: params.get("sort") ?? "",
  };
  const filter = h("input", {
    type: "search",
    class: "wide",
    "data-first": true,
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": "Filter",
    placeholder: "filter, as of watch: peer alice tcp port 443",
    value: want.filter,
  });
  const sort = h(
    "select",
    { "aria-label": "Order of flows", change: () => change({ sort: sort.value }) },
    [
      ["", "latest first"],
      ["bytes", "most bytes"],
      ["drops", "most drops"],
    ].map(([v, w]) => h("option", { value: v }, w)),
  );
  sort.value = want.sort;
  const problem = h("div", {});
  const drawing = spark("traffic of the latest minute, inside the tunnel");
  const rates = h("span", { class: "rates" });
  const notes = h("p", { class: "notes", role: "status" });
  const body = h("tbody", {});
  const selected = h("div", { class: "selected" });
  const reasons = h("ul", { class: "reasons" });
  const empty = h("p", { class: "wait" }, "Waiting for packets …");
  put(
    main,
    h(
      "div",
      { class: "bar" },
      h("h1", {}, "Flows"),
      h(
        "form",
        {
          class: "tools",
          role: "search",
          submit: (e) => {
            e.preventDefault();
            change({ filter: filter.value.trim(), flow: "" });
          },
        },
        chooser(want.tunnel, (tunnel) => change({ tunnel })),
        filter,
        h("button", {}, "Watch"),
        sort,
      ),
    ),
    problem,
    h("section", { class: "card now-card", "aria-label": "Now" }, drawing, rates, notes),
    h(
      "div",
      { class: "split" },
      h(
        "section",
        { class: "card", "aria-label": "Flows" },
        empty,
        h(
          "div",
          { class: "scroll" },
          h(
            "table",
            { class: "flows" },
            h("caption", { class: "unseen" }, "Flows"),
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                columns.map((c) => h("th", { scope: "col", class: numbers.has(c) ? "n" : "" }, c)),
              ),
            ),
            body,
          ),
        ),
      ),
      h(
        "div",
        {},
        selected,
        h("section", { class: "card", "aria-label": "Dropped packets" }, h("h2", {}, "Dropped, by reason"), reasons),
      ),
    ),
  );
  let stop = null;

  function change(by) {
    Object.assign(want, by);
    if (!want.tunnel) return;
    go("flow", want, { replace: true });
    open();
  }

  function open() {
    stop?.();
    const q = {};
    for (const [k, v] of Object.entries(want)) if (v) q[k] = v;
    stop = live("flows", q, paint, (err) => put(problem, trouble(err)));
  }

  const pick = (id) => change({ flow: want.flow === id ? "" : id });

  function paint(st, now) {
    put(problem);
    drawing.draw(st.in, st.out);
    const sec = (list) => (list.length > 1 ? list[list.length - 2] : 0); // the latest is not over
    text(rates, `↓ ${rate(sec(st.in))}  ↑ ${rate(sec(st.out))}`);
    text(
      notes,
      [
        plural(st.total, "flow"),
        plural(st.events, "event"),
        st.every > 1 ? `busy: one packet of ${st.every} is looked at, figures are estimates` : "",
        st.lost ? `${count(st.lost)} events missed` : "",
        st.forgotten ? `${plural(st.forgotten, "older flow")} forgotten` : "",
      ]
        .filter(Boolean)
        .join(" · "),
    );
    empty.hidden = st.flows.length > 0;
    keyed(
      body,
      st.flows,
      (f) => f.id,
      (f) => makeFlow(f, pick),
      (row, f) => updateFlow(row, f, now, want.flow),
    );
    keyed(
      reasons,
      st.reasons,
      (r) => r.reason + r.kernel,
      (r) =>
        h(
          "li",
          {},
          h("b", {}),
          " ",
          h("a", { href: `flow?${new URLSearchParams({ tunnel: want.tunnel, filter: `reason ${r.reason}` })}` }, r.reason),
          r.kernel ? " (kernel)" : "",
          h("span", { class: "when" }),
        ),
      (el, r) => {
        text(el.firstElementChild, count(r.drops));
        text(el.lastElementChild, age(r.last, now));
      },
    );
    if (!st.reasons.length) text(reasons, "None.");
    paintLadder(selected, st.selected, now, want);
  }
  if (want.tunnel && !stop) open();
  return () => stop?.();
}

function makeFlow(f, pick) {
  const cells = columns.map((c) => h("td", { class: numbers.has(c) ? "n" : "", "data-label": c }));
  const b = h(
    "button",
    { type: "button", class: "row", click: () => pick(f.id) },
    h("span", { class: "proto" }, f.proto),
    ` ${f.client} → ${f.server}`,
  );
  cells[0].append(b);
  const row = h("tr", {}, cells);
  row.cells_ = cells;
  row.button = b;
  return row;
}

function updateFlow(row, f, now, chosen) {
  const c = row.cells_;
  row.button.setAttribute("aria-pressed", String(f.id === chosen));
  row.classList.toggle("chosen", f.id === chosen);
  row.classList.toggle("bad", f.drops > 0 || !!f.refused);
  text(c[1], label(f.peer_name, f.peer));
  text(c[2], count(f.packets));
  text(c[3], bytes(f.bytes));
  text(c[4], f.drops ? `${count(f.drops)} ${f.why}` : f.refused ? `refused: ${f.refused}` : "");
  text(c[5], age(f.last, now));
}

// paintLadder shows which checkpoints a flow has come to, and when.
function paintLadder(el, f, now, want) {
  if (!f) {
    if (el.dataset.id !== "") {
      el.dataset.id = "";
      put(
        el,
        h(
          "section",
          { class: "card", "aria-label": "Ladder" },
          h("h2", {}, "Ladder"),
          h("p", {}, "Choose a flow to see how far its packets come, as they pass."),
        ),
      );
    }
    return;
  }
  if (el.dataset.id !== f.id) {
    el.dataset.id = f.id;
    el.rungs = h("ol", { class: "ladder live" });
    el.spark = spark("traffic of this flow");
    put(
      el,
      h(
        "section",
        { class: "card", "aria-label": "Ladder of the flow" },
        h("h2", {}, "Ladder"),
        h("p", { class: "flow-name" }, h("span", { class: "proto" }, f.proto), ` ${f.client} → ${f.server}`),
        el.spark,
        el.rungs,
        h(
          "p",
          {},
          h(
            "a",
            {
              class: "button",
              "data-explain": true,
              href: `explain?${new URLSearchParams({ tunnel: want.tunnel, dest: f.proto === "udp" ? `${f.server}/udp` : f.server })}`,
            },
            "Explain its destination",
          ),
        ),
      ),
    );
  }
  el.spark.draw(f.in, f.out);
  let reached = true;
  keyed(
    el.rungs,
    f.rungs,
    (r) => r.checkpoint,
    (r) =>
      h(
        "li",
        {},
        h("span", { class: "mark", "aria-hidden": "true" }),
        h("span", { class: "cp" }, r.checkpoint),
        h("span", { class: "what" }, h("span", { class: "title" }, r.text), h("span", { class: "detail" })),
        h("span", { class: "side" }, h("b", {}), h("span", {})),
      ),
    (li, r) => {
      const dropped = r.drops > 0 && !r.packets;
      const status = dropped ? "fail" : r.packets ? "pass" : "unknown";
      const fresh = r.last && now - Date.parse(r.last) < 1500;
      li.className = `${status}${fresh ? " fresh" : ""}${r.of_peer ? " of-peer" : ""}`;
      const [mark, , what, side] = li.children;
      text(mark, { pass: "✓", fail: "✗", unknown: "?" }[status]);
      text(
        what.lastElementChild,
        [
          r.of_peer ? "of the peer" : "",
          r.drops ? `${count(r.drops)} dropped: ${r.why}` : "",
          !r.packets && !r.drops ? "not seen" : "",
        ]
          .filter(Boolean)
          .join(" · "),
      );
      text(side.firstElementChild, r.packets ? count(r.packets) : "");
      text(side.lastElementChild, r.last ? age(r.last, now) : "");
      reached &&= status === "pass";
    },
  );
}
