// Small drawings of what passed in the latest minute.

import { s } from "./dom.js";

const width = 120;
const height = 28;

// spark is a drawing of two series above each other: towards this host, and from it. The latest is
// at its right end.
export function spark(words) {
  const a = s("path", { class: "in" });
  const b = s("path", { class: "out" });
  const el = s(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
    a,
    b,
  );
  el.draw = (ins, outs) => {
    const most = Math.max(1, ...ins, ...outs);
    a.setAttribute("d", area(ins, most));
    b.setAttribute("d", line(outs, most));
  };
  return el;
}

const slots = 60;
const x = (i, n) => (((i + slots - n) / (slots - 1)) * width).toFixed(1);

function line(values, most) {
  if (!values.length) return "";
  return `M${values.map((v, i) => `${x(i, values.length)} ${(height - 1 - (v / most) * (height - 3)).toFixed(1)}`).join("L")}`;
}

function area(values, most) {
  return values.length ? `${line(values, most)}L${width} ${height}L${x(0, values.length)} ${height}Z` : "";
}

// History keeps the latest values of a number that comes now and then.
export class History {
  constructor(size = slots) {
    this.size = size;
    this.in = [];
    this.out = [];
  }

  add(rates) {
    for (const [list, v] of [
      [this.in, rates?.rx],
      [this.out, rates?.tx],
    ]) {
      list.push(Math.max(0, v ?? 0));
      if (list.length > this.size) list.shift();
    }
  }
}
