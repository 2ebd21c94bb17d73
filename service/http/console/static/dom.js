// Elements, made from texts only: nothing that anybody wrote, such as a remark, can become HTML.

const PROPERTIES = new Set(["checked", "className", "disabled", "hidden", "htmlFor", "multiple", "value", "webkitdirectory"]);

/** An element; `on…` are listeners, null and false are left out, of attributes and of children. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) made[name] = value;
    else if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
  return made;
}

export function button(label, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, label);
}

let labels = 0;

/** A label with its control, which it is tied to. */
export function field(label, control, hint = null) {
  labels += 1;
  control.id ||= `control-${labels}`;
  if (hint) control.setAttribute("aria-describedby", `${control.id}-hint`);
  return el("div", { className: "field" },
    el("label", { htmlFor: control.id }, label),
    control,
    hint && el("p", { className: "hint", id: `${control.id}-hint` }, hint));
}

/** A choice of [value, text] pairs. */
export function select(options, chosen, onchange) {
  const made = el("select", { onchange: () => onchange?.(made.value) },
    options.map(([value, text]) => el("option", { value }, text)));
  made.value = chosen;
  return made;
}

/** Put children in the place of an element's. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
}

let toasts = 0;

/** A sentence at the foot of the page for some seconds, with an action if one is given; what it returns takes it away. */
export function toast(text, { action = null, onaction = null, seconds = 6, bad = false } = {}) {
  toasts += 1;
  const made = el("div", { className: bad ? "toast bad" : "toast", id: `toast-${toasts}` }, el("span", {}, text));
  const remove = () => made.remove();
  if (action) made.append(button(action, () => { remove(); onaction(); }));
  document.getElementById("toasts").append(made);
  setTimeout(remove, seconds * 1000);
  return remove;
}

/** Ask for a confirmation; resolves to true, or to the text of `input` where there is one, and to null if not wanted. */
export function ask({ title, text, yes, no, input = null, danger = false }) {
  return new Promise((resolve) => {
    const answer = (value) => { dialog.close(); dialog.remove(); resolve(value); };
    const form = el("form", { onsubmit: (event) => { event.preventDefault(); answer(input ? input.value : true); } },
      el("h2", { id: "dialog-title" }, title),
      text && el("p", {}, text),
      input && input.parentElement === null ? field(input.dataset.label, input) : null,
      el("div", { className: "row end" },
        button(no, () => answer(null)),
        el("button", { type: "submit", className: danger ? "danger" : "primary" }, yes)));
    const dialog = el("dialog", { "aria-labelledby": "dialog-title", oncancel: (event) => { event.preventDefault(); answer(null); } }, form);
    document.body.append(dialog);
    dialog.showModal();
    if (input) { input.focus(); input.select?.(); }
  });
}

/** Save a blob as a file. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
