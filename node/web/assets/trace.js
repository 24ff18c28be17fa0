// One packet and its reply, station by station.

import { h, put, announce } from "./dom.js";
import { base, post } from "./net.js";
import { clock, took } from "./format.js";
import { trouble } from "./report.js";
import { chooser } from "./choose.js";

export const title = "Trace";

const marks = { pass: "✓", lost: "✗", unknown: "?", "not-reached": "·" };
const words = { pass: "passed", lost: "lost", unknown: "not visible", "not-reached": "not reached" };

export function show(main, { params, go }) {
  let gone = new AbortController();
  let running = false;
  const dest = h("input", {
    type: "text",
    class: "wide",
    required: true,
    "data-first": true,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    placeholder: "10.0.0.2 or gateway:443",
    "aria-label": "Destination",
    value: params.get("dest") ?? "",
  });
  const tunnel = chooser(params.get("tunnel") ?? "", () => {});
  const run = h("button", { class: "primary" }, "Trace");
  const out = h("div", {});
  put(
    main,
    h("div", { class: "bar" }, h("h1", {}, "Trace")),
    h(
      "form",
      {
        class: "card ask",
        submit: (e) => {
          e.preventDefault();
          running ? gone.abort() : ask();
        },
      },
      h("label", {}, "Tunnel ", tunnel),
      h("label", { class: "grow" }, "Destination ", dest),
      run,
      h(
        "p",
        { class: "hint" },
        "Sends one packet and follows it and its reply through this host: routing rules, firewall, the tunnel, the network.",
      ),
    ),
    out,
  );

  async function ask() {
    gone = new AbortController();
    running = true;
    run.textContent = "Stop";
    const question = { tunnel: tunnel.value, dest: dest.value.trim() };
    go("trace", question, { replace: true });
    put(out, h("p", { class: "wait", role: "status" }, `Following a packet to ${question.dest} …`));
    try {
      answer(await post("trace", question, gone.signal));
    } catch (err) {
      put(out, err.name === "AbortError" ? h("p", {}, "Stopped.") : trouble(err.message));
    } finally {
      running = false;
      run.textContent = "Trace";
    }
  }

  function answer({ walk, drawing }) {
    announce(walk.outcome.summary);
    const good = walk.outcome.answered;
    put(
      out,
      h(
        "section",
        { class: `card verdict ${good ? "good" : "bad"}`, "aria-label": "Outcome" },
        h(
          "div",
          { class: "verdict-head" },
          h("span", { class: "mark", "aria-hidden": "true" }, good ? "✓" : "✗"),
          h(
            "span",
            { class: "about" },
            h("span", {}, `${walk.interface} → ${walk.target}`),
            good ? h("span", {}, took(walk.outcome.rtt_ns)) : null,
          ),
        ),
        h("p", { class: "summary" }, walk.outcome.summary),
        walk.notes?.length
          ? h(
              "ul",
              {},
              walk.notes.map((n) => h("li", {}, n)),
            )
          : null,
      ),
      h(
        "div",
        { class: "split even" },
        h(
          "section",
          { class: "card", "aria-label": "Steps" },
          h("h2", {}, "Steps"),
          h(
            "ol",
            { class: "walk" },
            walk.steps.map((st) =>
              h(
                "li",
                { class: `${st.status} ${st.zone}` },
                h("span", { class: "mark", "aria-hidden": "true" }, marks[st.status] ?? "?"),
                h("span", { class: "cp" }, String(st.number)),
                h(
                  "div",
                  { class: "what" },
                  h("span", { class: "unseen" }, `${words[st.status] ?? st.status}, ${st.leg === "back" ? "reply" : "packet"}: `),
                  h("span", { class: "title" }, st.title),
                  h("span", { class: "detail" }, st.result),
                  st.evidence?.length
                    ? h(
                        "details",
                        { open: st.status === "lost" },
                        h("summary", {}, "Evidence"),
                        h("pre", {}, st.evidence.join("\n")),
                      )
                    : null,
                ),
                h(
                  "span",
                  { class: "side" },
                  st.leg === "back" ? "reply" : "",
                  st.time ? h("time", { datetime: st.time }, clock(st.time)) : null,
                ),
              ),
            ),
          ),
        ),
        picture(drawing, `Drawing of the walk: ${walk.outcome.summary}`),
      ),
    );
  }

  if (!dest.value) dest.focus();
  return () => gone.abort();
}

// picture shows a drawing as an image, in which nothing runs.
export function picture(id, words) {
  const src = new URL(`api/drawing/${id}`, base).href;
  return h(
    "figure",
    { class: "card drawing" },
    h("a", { href: src, target: "_blank", rel: "noreferrer" }, h("img", { src, alt: words })),
    h("figcaption", {}, h("a", { href: src, download: "wgnode.svg" }, "Save as SVG")),
  );
}
