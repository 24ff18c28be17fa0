// What becomes of the packets to a destination: a form, and the answer.

import { h, put, announce } from "./dom.js";
import { post } from "./net.js";
import { took } from "./format.js";
import { findings, ladder, trouble, verdict } from "./report.js";
import { chooser } from "./choose.js";
import { offer } from "./change.js";

export const title = "Explain";

export function show(main, { about, params, go }) {
  let gone = new AbortController();
  let running = false;
  const dest = h("input", {
    type: "text",
    class: "wide",
    name: "dest",
    required: true,
    "data-first": true,
    spellcheck: "false",
    autocomplete: "off",
    autocapitalize: "off",
    placeholder: "10.0.0.2, gateway:443 or 10.0.0.1:53/udp",
    "aria-label": "Destination",
    value: params.get("dest") ?? "",
  });
  const passive = h("input", { type: "checkbox" });
  const tunnel = chooser(params.get("tunnel") ?? "", () => {});
  const run = h("button", { class: "primary" }, "Explain");
  const out = h("div", { "aria-live": "off" });
  put(
    main,
    h("div", { class: "bar" }, h("h1", {}, "Explain")),
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
      h("label", { class: "check" }, passive, " only wait for a packet that another host sends"),
      run,
      h(
        "p",
        { class: "hint" },
        "Sends a probe from this host through the tunnel: ICMP echo, a TCP connection if a port is given, datagrams with /udp behind it.",
      ),
    ),
    out,
  );

  async function ask() {
    gone = new AbortController();
    running = true;
    run.textContent = "Stop";
    const question = { tunnel: tunnel.value, dest: dest.value.trim(), passive: passive.checked };
    go("explain", { tunnel: question.tunnel, dest: question.dest }, { replace: true });
    put(
      out,
      h("p", { class: "wait", role: "status" }, question.passive ? "Waiting for a packet …" : `Probing ${question.dest} …`),
    );
    try {
      answer(await post("explain", question, gone.signal));
    } catch (err) {
      put(out, err.name === "AbortError" ? h("p", {}, "Stopped.") : trouble(err.message));
    } finally {
      running = false;
      run.textContent = "Explain";
    }
  }

  function answer({ report: r, id }) {
    announce(`${r.verdict.code}: ${r.verdict.summary}`);
    const facts = [
      ["Flow", `${r.interface} → ${r.target}`],
      ["Peer", r.peer_name || r.peer || "none"],
      ["This host is side", r.side],
      ["Round trip", r.rtt_ns ? took(r.rtt_ns) : ""],
      ["MTU", r.mtu ? String(r.mtu) : ""],
      ["Largest that passes", r.path_mtu ? String(r.path_mtu) : ""],
      ["Level", r.level],
    ].filter(([, v]) => v);
    put(
      out,
      h(
        "dl",
        { class: "facts-list card" },
        facts.map(([k, v]) => h("div", {}, h("dt", {}, k), h("dd", {}, v))),
      ),
      verdict(r.verdict, offer(about, id, answer)),
      ladder(r.ladder, about),
      findings(r.findings, r.unchecked),
    );
  }

  if (!dest.value) dest.focus();
  return () => gone.abort();
}
