// What the page may change, if it may: apply the fix of an explanation, and reload a node.

import { h, put } from "./dom.js";
import { post } from "./net.js";
import { trouble } from "./report.js";

// offer is what offers to apply the fix of an explanation; nothing if it cannot be applied.
// answer takes the explanation that is made afterwards.
export function offer(about, id, answer) {
  if (!about.changes || !id) return null;
  const out = h("div", { class: "apply" });
  const b = h("button", { type: "button", click: look }, "Apply …");
  put(out, b);

  async function look() {
    b.disabled = true;
    try {
      const plan = await post("fix/plan", { id });
      put(
        out,
        h("h3", {}, "Apply the fix"),
        plan.steps.length
          ? [
              h("p", {}, "wgnode would do this on this host, and `wgnode undo` reverts it:"),
              h("pre", {}, plan.steps.join("\n")),
            ]
          : h("p", {}, "Nothing of this fix can be applied from here."),
        plan.left.length
          ? [
              h("p", {}, "Left to you:"),
              h(
                "ul",
                {},
                plan.left.map((l) => h("li", {}, h("code", {}, l.line), ` (${l.why})`)),
              ),
            ]
          : null,
        plan.certain ? null : h("p", { class: "trouble" }, "The verdict is not certain."),
        plan.steps.length
          ? h(
              "p",
              {},
              h(
                "button",
                { type: "button", class: "danger", click: () => apply(plan.agree) },
                `Apply ${plan.steps.length} step(s) now`,
              ),
              " ",
              h("button", { type: "button", click: () => put(out, b) }, "Leave it"),
            )
          : null,
      );
      b.disabled = false;
      out.querySelector("button")?.focus();
    } catch (err) {
      put(out, trouble(err.message));
    }
  }

  async function apply(agree) {
    put(out, h("p", { class: "wait", role: "status" }, "Applying, and asking again …"));
    try {
      answer(await post("fix/apply", { id, agree }));
    } catch (err) {
      put(out, trouble(err.message));
    }
  }
  return out;
}

// offerReload is what has a node take over what its file says by now, after it has said what that changes.
export function offerReload(about, tunnel) {
  if (!about.changes) return null;
  const out = h("div", { class: "apply" });
  const b = h("button", { type: "button", click: look }, "Reload …");
  put(out, b);

  async function look() {
    try {
      const plan = await post("reload", { tunnel, check: true });
      put(
        out,
        plan.changed ? h("p", {}, `This is what reloading ${tunnel} would do:`) : h("p", {}, `${tunnel} is as its file says.`),
        plan.output ? h("pre", {}, plan.output) : null,
        plan.changed ? h("button", { type: "button", class: "danger", click: reload }, "Reload now") : null,
        " ",
        h("button", { type: "button", click: () => put(out, b) }, plan.changed ? "Leave it" : "Close"),
      );
      out.querySelector("button")?.focus();
    } catch (err) {
      put(out, trouble(err.message), b);
    }
  }

  async function reload() {
    put(out, h("p", { class: "wait", role: "status" }, "Reloading …"));
    try {
      const done = await post("reload", { tunnel });
      put(out, h("p", { role: "status" }, "Reloaded."), done.output ? h("pre", {}, done.output) : null, b);
    } catch (err) {
      put(out, trouble(err.message), b);
    }
  }
  return out;
}
