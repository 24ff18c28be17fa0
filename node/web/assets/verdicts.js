// What verdicts mean.

import { h, put } from "./dom.js";
import { get } from "./net.js";
import { code, trouble } from "./report.js";

export const title = "Verdicts";

export function show(main) {
  const find = h("input", { type: "search", "data-first": true, placeholder: "find", "aria-label": "Find a verdict" });
  const body = h("tbody", {});
  put(
    main,
    h("div", { class: "bar" }, h("h1", {}, "Verdicts"), h("span", { class: "tools" }, find)),
    h(
      "section",
      { class: "card", "aria-label": "All verdicts" },
      h(
        "table",
        { class: "codes" },
        h("caption", { class: "unseen" }, "All verdicts"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["Code", "Class", "Means"].map((c) => h("th", { scope: "col" }, c)),
          ),
        ),
        body,
      ),
    ),
  );
  get("codes").then(
    (all) => {
      const rows = all.map((c) => {
        const a = code(c.code);
        a.classList.add("row");
        return {
          row: h("tr", {}, h("td", {}, a), h("td", {}, c.class), h("td", {}, c.title)),
          words: `${c.code} ${c.class} ${c.title}`.toLowerCase(),
        };
      });
      put(
        body,
        rows.map((r) => r.row),
      );
      find.addEventListener("input", () => {
        for (const r of rows) r.row.hidden = !r.words.includes(find.value.trim().toLowerCase());
      });
    },
    (err) => put(main, trouble(err.message)),
  );
}

// one is the text of one verdict, as "wgnode explain CODE" says it.
export const one = {
  title: "Verdict",
  under: "verdicts",
  show(main, { params }) {
    const c = params.get("code") ?? "";
    put(main, h("p", { class: "crumbs" }, h("a", { href: "verdicts" }, "Verdicts")), h("h1", {}, c));
    get("code", { code: c }).then(
      (t) => {
        document.title = `${t.code} · wgnode`;
        put(
          main,
          h("p", { class: "crumbs" }, h("a", { href: "verdicts" }, "Verdicts")),
          h(
            "article",
            { class: "card text" },
            h("h1", {}, t.code),
            h("p", { class: "summary" }, t.title),
            h(
              "p",
              { class: "about" },
              h("span", { class: "tag" }, t.class),
              t.checkpoints.length ? `names ${t.checkpoints.join(", ")}` : "",
            ),
            h("h2", {}, "What it means"),
            lines(t.meaning),
            h("h2", {}, "On the wire"),
            lines(t.wire),
            t.alike?.length
              ? [
                  h("h2", {}, "What looks the same"),
                  h(
                    "ul",
                    { class: "candidates" },
                    t.alike.map((a) => h("li", {}, code(a.code), h("span", {}, a.check))),
                  ),
                ]
              : null,
            h("h2", {}, "How to mend it"),
            lines(t.mend),
          ),
        );
      },
      (err) => put(main, trouble(err.message)),
    );
  },
};

// lines are paragraphs, and commands where they begin with two spaces.
function lines(words) {
  const out = [];
  for (const line of (words ?? "").split("\n").filter(Boolean)) {
    if (!line.startsWith("  ")) out.push(h("p", {}, line));
    else if (out.at(-1)?.tagName === "PRE") out.at(-1).append(`\n${line.slice(2)}`);
    else out.push(h("pre", {}, line.slice(2)));
  }
  return out;
}

export const nowhere = {
  title: "Not found",
  show(main) {
    put(main, h("h1", {}, "There is no such page"), h("p", {}, h("a", { href: "./" }, "Tunnels")));
  },
};
