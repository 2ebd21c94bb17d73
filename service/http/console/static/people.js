// People: who is registered, page by page, and searched by a part of the name.

import { getPeople, getStats } from "./api.js";
import { button, el, fill } from "./dom.js";
import { t, why } from "./i18n.js";
import { picture } from "./pictures.js";
import { isGoing } from "./undo.js";

const PAGE = 48;
const TYPING_MS = 300;

export const keyOf = (remark) => `person ${remark}`;

export async function show(main, { signal }) {
  const count = el("p", { className: "hint" }), grid = el("ul", { className: "people" });
  const previous = button(t("page.previous"), () => { before.pop(); load(); });
  const next = button(t("page.next"), () => { before.push(following); load(); });
  const search = el("input", { type: "search", autocomplete: "off", dir: "auto", "aria-label": t("people.search"), placeholder: t("people.search") });
  let before = [], following = null, asked = 0, typing = null;

  const load = async () => {
    asked += 1;
    const mine = asked;
    grid.setAttribute("aria-busy", "true");
    try {
      const page = await getPeople({ limit: PAGE, cursor: before.at(-1), part: search.value.trim() }, signal);
      if (mine !== asked || signal.aborted) return;
      following = page.next_cursor;
      const people = page.people.filter((person) => !isGoing(keyOf(person.remark)));
      fill(grid, people.map((person) => card(person, signal)));
      if (people.length === 0) fill(grid, el("li", { className: "empty" }, t(search.value.trim() ? "people.none_found" : "people.none")));
      previous.disabled = before.length === 0;
      next.disabled = following === null;
    } catch (error) {
      if (error.name !== "AbortError" && mine === asked) fill(grid, el("li", { className: "problem", role: "alert" }, why(error)));
    }
    grid.removeAttribute("aria-busy");
  };
  const countFaces = async () => {
    try {
      const stats = await getStats(signal);
      fill(count, t("people.count", { n: stats.faces }));
    } catch { /* the list says what is wrong */ }
  };
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => { before = []; load(); }, TYPING_MS);
  });
  fill(main, el("h1", {}, t("nav.people")), el("div", { className: "row spread" }, search, count), grid,
    el("nav", { className: "row", "aria-label": t("page.pages") }, previous, next));
  await Promise.all([load(), countFaces()]);
}

function card(person, signal) {
  return el("li", {}, el("a", { className: "person", href: `#/people/${encodeURIComponent(person.remark)}` },
    picture(person.face_id, "", signal),
    el("bdi", { className: "name" }, person.remark),
    el("span", { className: "hint" }, t("people.photos", { n: person.faces }))));
}
