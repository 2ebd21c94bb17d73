// What this tab remembers: the key and the gallery until the tab is closed; language and colours for the next time too.

const read = (storage, name) => { try { return storage.getItem(name); } catch { return null; } };
const write = (storage, name, value) => {
  try { value === null ? storage.removeItem(name) : storage.setItem(name, value); } catch { /* a browser may forbid it */ }
};

let key = read(sessionStorage, "operator-key");
let gallery = read(sessionStorage, "gallery");

/** The operator's key; never written where it outlives the tab. */
export const session = {
  get key() { return key; },
  set key(value) { key = value; write(sessionStorage, "operator-key", value); },
  /** The chosen gallery; null is the caller's own. */
  get gallery() { return gallery; },
  set gallery(value) { gallery = value; write(sessionStorage, "gallery", value); },
};

export const preferences = {
  get language() { return read(localStorage, "language"); },
  set language(value) { write(localStorage, "language", value); },
  /** `light`, `dark`, or null for what the system says. */
  get colours() { return read(localStorage, "colours"); },
  set colours(value) { write(localStorage, "colours", value); },
};
