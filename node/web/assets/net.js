// Questions to the server that has served this page, and live views.

export const base = new URL("../", import.meta.url);

// Refused is an answer that is none.
export class Refused extends Error {}

async function answer(path, init) {
  let res;
  try {
    res = await fetch(new URL(`api/${path}`, base), init);
  } catch (err) {
    if (err.name === "AbortError") throw err;
    throw new Refused("wgnode web does not answer: has it ended?");
  }
  let body;
  try {
    body = await res.json();
  } catch {
    throw new Refused(`wgnode web answers ${res.status}, and not with JSON`);
  }
  if (!res.ok) throw new Refused(body.error || `wgnode web answers ${res.status}`);
  return body;
}

export function get(path, params, signal) {
  const q = new URLSearchParams(params);
  return answer(q.size ? `${path}?${q}` : path, { signal });
}

export function post(path, question, signal) {
  return answer(path, {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(question),
  });
}

export function remove(path) {
  return answer(path, { method: "DELETE" });
}

export function upload(file) {
  return answer(`recordings?${new URLSearchParams({ name: file.name })}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  });
}

// link says whether what is live is so.
function link(state, words) {
  const el = document.getElementById("link");
  el.dataset.state = state;
  if (el.textContent !== words) el.textContent = words;
}

// live opens a live view: take is given each state and the server's time, trouble what keeps
// it from coming. While the page is hidden there is none. The function that it returns ends it.
export function live(path, params, take, trouble) {
  const url = new URL(`api/live/${path}?${new URLSearchParams(params)}`, base);
  let source = null;
  let again = 0;
  let painting = 0;
  let latest = null;
  const paint = () => {
    painting = 0;
    take(latest.state, Date.parse(latest.at));
  };
  const open = () => {
    if (source || document.hidden) return;
    link("wait", "connecting");
    source = new EventSource(url);
    source.addEventListener("state", (e) => {
      link("live", "live");
      latest = JSON.parse(e.data);
      painting ||= requestAnimationFrame(paint);
    });
    source.addEventListener("trouble", (e) => {
      const { error } = JSON.parse(e.data);
      link("lost", "waiting");
      trouble?.(error);
    });
    source.addEventListener("error", async () => {
      link("lost", "reconnecting");
      if (source?.readyState !== EventSource.CLOSED) return; // the browser tries again
      close();
      // It was refused: ask why.
      try {
        const res = await fetch(url, { headers: { Accept: "application/json" } });
        const kind = res.headers.get("Content-Type") ?? "";
        if (!res.ok && kind.startsWith("application/json")) trouble?.((await res.json()).error);
        else res.body?.cancel();
      } catch {
        trouble?.("wgnode web does not answer: has it ended?");
      }
      again = setTimeout(open, 3000);
    });
  };
  const close = () => {
    source?.close();
    source = null;
    clearTimeout(again);
  };
  const seen = () => (document.hidden ? (close(), link("wait", "paused")) : open());
  document.addEventListener("visibilitychange", seen);
  open();
  return () => {
    document.removeEventListener("visibilitychange", seen);
    cancelAnimationFrame(painting);
    close();
    link("", "");
  };
}
