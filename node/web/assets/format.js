// Numbers and times as people read them.

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(n) {
  if (n === undefined || n === null) return "";
  let u = 0;
  while (n >= 1024 && u < units.length - 1) {
    n /= 1024;
    u++;
  }
  return `${u === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[u]}`;
}

export function rate(n) {
  return n === undefined || n === null || n < 0 ? "–" : `${bytes(n)}/s`;
}

export function count(n) {
  return n === undefined || n === null ? "" : n.toLocaleString("en-US");
}

// took is a duration that the server gives in nanoseconds.
export function took(ns) {
  if (!ns) return "–";
  if (ns < 1e6) return `${(ns / 1e3).toFixed(0)} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(ns < 1e7 ? 2 : 1)} ms`;
  return `${(ns / 1e9).toFixed(1)} s`;
}

// age is how long ago a time was, by the server's clock.
export function age(time, now) {
  if (!time) return "never";
  const s = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

export function clock(time) {
  if (!time) return "";
  const d = new Date(time);
  const micros = /\.(\d{1,9})/.exec(time)?.[1].padEnd(6, "0").slice(0, 6) ?? "000000";
  const two = (n) => String(n).padStart(2, "0");
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${micros}`;
}

export function date(time) {
  return time ? new Date(time).toLocaleString() : "";
}

export function shortKey(k) {
  return k ? `${k.slice(0, 8)}…` : "";
}

export function label(name, key) {
  return name || shortKey(key) || "–";
}

export function plural(n, word, many) {
  return `${count(n)} ${n === 1 ? word : (many ?? word + "s")}`;
}
