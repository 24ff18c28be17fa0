// The choice of a tunnel, in forms.

import { h, put } from "./dom.js";
import { get } from "./net.js";

// chooser is a list of the tunnels that can be asked, with one chosen. change is called with the
// choice, at first as soon as the tunnels are known.
export function chooser(wanted, change) {
  const el = h("select", { "aria-label": "Tunnel", change: () => change(el.value) });
  if (wanted) put(el, h("option", { value: wanted }, wanted));
  get("tunnels").then(
    (all) => {
      const names = wanted && !all.includes(wanted) ? [wanted, ...all] : all;
      put(
        el,
        names.map((n) => h("option", { value: n }, n)),
      );
      el.value = wanted || names[0] || "";
      if (!names.length) put(el, h("option", { value: "" }, "no tunnel is up"));
      if (!wanted) change(el.value);
    },
    () => {},
  );
  if (wanted) queueMicrotask(() => change(wanted));
  return el;
}
