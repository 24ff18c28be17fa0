// Recordings: those that were named, and those that are dropped here; one by itself, or several
// merged.

import { h, put, announce } from "./dom.js";
import { get, post, remove, upload } from "./net.js";
import { bytes, count, date, label, plural } from "./format.js";
import { code, findings, ladder, mood, trouble, verdict } from "./report.js";
import { merged } from "./merged.js";

export const title = "Recordings";

export function show(main, { about, params, go }) {
  const chosen = new Set((params.get("merge") ?? "").split(",").filter(Boolean));
  const body = h("tbody", {});
  const problem = h("div", {});
  const out = h("div", {});
  const to = h("input", {
    type: "text",
    placeholder: "only flows to ADDRESS[:PORT]",
    "aria-label": "Only flows to",
    spellcheck: "false",
    value: params.get("to") ?? "",
  });
  const run = h("button", { class: "primary", disabled: true }, "Merge");
  const pick = h("input", {
    type: "file",
    multiple: true,
    accept: ".pcapng,.gz,.part",
    class: "unseen",
    id: "pick",
    change: () => take(pick.files),
  });
  const zone = h(
    "div",
    { class: "drop" },
    h("p", {}, "Drop recordings or bundles here, or ", h("label", { for: "pick", class: "button" }, "choose files"), pick),
    h(
      "p",
      { class: "hint" },
      "They stay on this host: wgnode keeps them in a file without a name until it ends, or you remove them. ",
      h("code", {}, "wgnode record NAME -w FILE"),
      " makes one.",
    ),
  );
  const list = h(
    "section",
    { class: "card", "aria-label": "Recordings" },
    h(
      "form",
      {
        submit: (e) => {
          e.preventDefault();
          merge();
        },
      },
      h(
        "div",
        { class: "scroll" },
        h(
          "table",
          {},
          h("caption", { class: "unseen" }, "Recordings"),
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["", "Recording", "Host", "Tunnel", "Begun", "Size", ""].map((c) =>
                h("th", { scope: "col", class: c === "Size" ? "n" : "" }, c || h("span", { class: "unseen" }, "Actions")),
              ),
            ),
          ),
          body,
        ),
      ),
      h("p", { class: "tools" }, run, to),
    ),
  );
  put(main, h("div", { class: "bar" }, h("h1", {}, "Recordings")), problem, zone, list, out);

  async function load() {
    const all = await get("recordings");
    list.hidden = !all.length;
    for (const id of chosen) if (!all.some((f) => f.id === id)) chosen.delete(id);
    put(
      body,
      all.map((f) =>
        h(
          "tr",
          { class: f.error ? "bad" : "" },
          h(
            "td",
            {},
            f.error
              ? null
              : h("input", {
                  type: "checkbox",
                  "aria-label": `Merge ${f.name}`,
                  checked: chosen.has(f.id),
                  change: (e) => {
                    e.target.checked ? chosen.add(f.id) : chosen.delete(f.id);
                    run.disabled = chosen.size < 2;
                  },
                }),
          ),
          h(
            "td",
            {},
            f.error ? f.name : h("a", { class: "row", href: `recording?id=${f.id}` }, f.name),
            f.error ? h("p", { class: "why" }, f.error) : null,
          ),
          h("td", {}, f.host),
          h("td", {}, f.interface),
          h("td", {}, date(f.start)),
          h("td", { class: "n" }, bytes(f.size)),
          h(
            "td",
            {},
            h(
              "button",
              {
                type: "button",
                class: "plain",
                "aria-label": `Remove ${f.name} from the page`,
                click: async () => {
                  await remove(`recordings/${f.id}`);
                  load();
                },
              },
              "Remove",
            ),
          ),
        ),
      ),
    );
    run.disabled = chosen.size < 2;
    return all;
  }

  async function take(files) {
    put(problem);
    for (const f of files) {
      announce(`Taking ${f.name}`);
      try {
        if (f.size > about.max_upload)
          throw new Error(`${f.name} is larger than ${bytes(about.max_upload)}: name it instead, wgnode web -r FILE`);
        const kept = await upload(f);
        if (!kept.error) chosen.add(kept.id);
      } catch (err) {
        problem.append(trouble(`${f.name}: ${err.message}`));
      }
    }
    pick.value = "";
    await load();
    if (chosen.size >= 2) merge();
  }

  async function merge() {
    const ids = [...chosen];
    go("recordings", { merge: ids.join(","), to: to.value.trim() }, { replace: true });
    put(out, h("p", { class: "wait", role: "status" }, "Merging …"));
    try {
      const r = await post("merge", { ids, to: to.value.trim() });
      put(out, merged(r, about));
      announce(r.result.flows[0]?.verdict.summary ?? "Merged");
    } catch (err) {
      put(out, trouble(err.message));
    }
  }

  const over = (e) => {
    if (![...(e.dataTransfer?.types ?? [])].includes("Files")) return;
    e.preventDefault();
    zone.classList.toggle("over", e.type !== "dragleave" && e.type !== "drop");
    if (e.type === "drop") take(e.dataTransfer.files);
  };
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) document.addEventListener(name, over);
  load().then(
    () => chosen.size >= 2 && merge(),
    (err) => put(problem, trouble(err.message)),
  );
  return () => {
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) document.removeEventListener(name, over);
  };
}

// one is a recording by itself.
export const one = {
  title: "Recording",
  under: "recordings",
  show(main, { about, params }) {
    const id = params.get("id") ?? "";
    const out = h("div", {}, h("p", { class: "wait" }, "Reading …"));
    put(main, h("p", { class: "crumbs" }, h("a", { href: "recordings" }, "Recordings")), out);
    get("recording", { id }).then(
      (a) => put(out, recorded(a, id, about)),
      (err) => put(out, trouble(err.message)),
    );
  },
};

function recorded(a, id, about) {
  const dest = h("input", {
    type: "text",
    required: true,
    class: "wide",
    "data-first": true,
    placeholder: "192.168.200.22:80",
    "aria-label": "Destination",
    spellcheck: "false",
  });
  const answer = h("div", {});
  const d = a.doctor;
  const b = a.bundle;
  return [
    h(
      "div",
      { class: "bar" },
      h("h1", {}, a.file.name),
      h(
        "span",
        { class: "facts" },
        [
          a.file.host || b?.host,
          d.interface,
          date(a.file.start || b?.made),
          bytes(a.file.size),
          a.lost_events ? `${plural(a.lost_events, "event")} missing` : "",
          a.complete ? "" : "cut off",
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
    b ? h("p", { class: "at" }, `Found by doctor on ${b.host}, ${date(b.made)}`) : null,
    h(
      "form",
      {
        class: "card ask",
        submit: async (e) => {
          e.preventDefault();
          put(answer, h("p", { class: "wait", role: "status" }, "Reading …"));
          try {
            const { report: r } = await post("recording", { id, dest: dest.value.trim() });
            announce(`${r.verdict.code}: ${r.verdict.summary}`);
            put(answer, verdict(r.verdict), ladder(r.ladder, about), findings(r.findings, r.unchecked));
          } catch (err) {
            put(answer, trouble(err.message));
          }
        },
      },
      h("label", { class: "grow" }, "What became of packets to ", dest),
      h("button", { class: "primary" }, "Explain"),
    ),
    answer,
    a.explained
      ? [
          h("h2", {}, `Explained on the host: ${a.explained.target}`),
          verdict(a.explained.verdict),
          ladder(a.explained.ladder, about),
        ]
      : null,
    h("h2", {}, "Peers at its end"),
    [...d.peers]
      .sort((x, y) => rank(x) - rank(y))
      .slice(0, mostPeers)
      .map((p) =>
        h(
          "details",
          { class: "card peer", open: mood(p.verdict) === "bad" },
          h(
            "summary",
            {},
            h("span", { class: "dot", "data-mood": mood(p.verdict) }),
            h("b", {}, label(p.peer_name, p.peer)),
            ` ${p.state} `,
            code(p.verdict.code),
            ` ${p.verdict.summary}`,
          ),
          verdict(p.verdict),
          ladder(p.ladder, about),
        ),
      ),
    d.peers.length > mostPeers
      ? h("p", { class: "rest" }, `${count(d.peers.length - mostPeers)} more peers, with no fault or a lesser one`)
      : null,
    findings(d.findings, d.unchecked),
  ];
}

const mostPeers = 200;

const rank = (p) => ["bad", "good", "idle"].indexOf(mood(p.verdict));
