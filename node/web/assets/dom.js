// Elements, made so that whatever comes from elsewhere is text and never markup.

// h makes an element. Of props, class and attributes are set as such, and functions become
// listeners; children are elements, or text.
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, v] of Object.entries(props ?? {})) {
    if (v === undefined || v === null || v === false) continue;
    if (typeof v === "function") el.addEventListener(name, v);
    else if (name === "value") el.value = v;
    else el.setAttribute(name, v === true ? "" : v);
  }
  el.append(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false && c !== ""));
  return el;
}

// s makes an element of a drawing.
export function s(tag, attributes, ...children) {
  const el = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, v] of Object.entries(attributes ?? {})) el.setAttribute(name, v);
  el.append(...children);
  return el;
}

// text has an element say something, and leaves it alone if it does already: a selection in it
// stays, and nothing is painted.
export function text(el, value) {
  if (el.textContent !== value) el.textContent = value;
}

// put has an element hold other children.
export function put(el, ...children) {
  el.replaceChildren(...children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false && c !== ""));
}

// keyed has the children of an element be those of items, in their order. Those that stay are
// updated in place, so that focus and selection stay, too.
export function keyed(el, items, key, make, update) {
  const have = new Map([...el.children].map((c) => [c.dataset.key, c]));
  let at = el.firstElementChild;
  for (const item of items) {
    const k = key(item);
    let child = have.get(k);
    if (child) {
      have.delete(k);
    } else {
      child = make(item);
      child.dataset.key = k;
    }
    update?.(child, item);
    if (child === at) at = at.nextElementSibling;
    else el.insertBefore(child, at);
  }
  for (const gone of have.values()) gone.remove();
}

// copied is a button that copies a text.
export function copyButton(what, label) {
  const b = h(
    "button",
    {
      type: "button",
      class: "copy",
      "aria-label": `Copy ${label}`,
      click: async () => {
        try {
          await navigator.clipboard.writeText(what);
          b.textContent = "Copied";
        } catch {
          b.textContent = "Not allowed";
        }
        setTimeout(() => {
          b.textContent = "Copy";
        }, 1500);
      },
    },
    "Copy",
  );
  return b;
}

// announce says something to those who hear the page.
export function announce(words) {
  const el = document.getElementById("news");
  el.textContent = "";
  requestAnimationFrame(() => {
    el.textContent = words;
  });
}
