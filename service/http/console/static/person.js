// A person: their photos, and what may be mended: the name, two names for one person, photos, and when they are forgotten.

import { changeFace, deleteFace, deletePerson, getFaces, renamePerson } from "./api.js";
import { ask, button, el, fill, toast } from "./dom.js";
import { t, time, why } from "./i18n.js";
import { keyOf } from "./people.js";
import { picture } from "./pictures.js";
import { announceDeletion, isGoing } from "./undo.js";

const PAGE = 24;
const faceKey = (face) => `face ${face.face_id}`;

export async function show(main, { signal, parameters: [remark], go }) {
  const grid = el("ul", { className: "photos" }), more = button(t("page.more"), () => load(), { hidden: true });
  let cursor = null;
  const load = async () => {
    try {
      const page = await getFaces({ remark, limit: PAGE, cursor }, signal);
      cursor = page.next_cursor;
      more.hidden = cursor === null;
      grid.append(...page.faces.filter((face) => !isGoing(faceKey(face))).map((face) => faceCard(face, signal)));
      if (grid.children.length === 0) grid.append(el("li", { className: "empty" }, t("person.no_photos")));
    } catch (error) {
      if (error.name !== "AbortError") grid.append(el("li", { className: "problem", role: "alert" }, why(error)));
    }
  };
  fill(main,
    el("p", {}, el("a", { href: "#/people" }, `← ${t("nav.people")}`)),
    el("h1", {}, el("bdi", { dir: "auto" }, remark)),
    el("div", { className: "row" },
      el("a", { className: "button", href: `#/register/${encodeURIComponent(remark)}` }, t("person.add")),
      button(t("person.rename"), () => rename(remark, go)),
      button(t("person.delete"), () => remove(remark, go), { className: "danger" })),
    grid, more);
  await load();
}

async function rename(remark, go) {
  const input = el("input", { type: "text", required: true, maxlength: 1024, value: remark, dir: "auto", "data-label": t("person.new_name") });
  const wanted = await ask({ title: t("person.rename_title", { name: remark }), yes: t("person.rename"), no: t("cancel"), input });
  const becomes = wanted?.trim();
  if (!becomes || becomes === remark) return;
  try {
    await renamePerson(remark, becomes, false);
  } catch (error) {
    if (error.code !== "remark_in_use") { toast(why(error), { bad: true }); return; }
    if (!await merge(remark, becomes)) return;
  }
  toast(t("person.renamed", { name: becomes }));
  go(`#/people/${encodeURIComponent(becomes)}`);
}

async function merge(remark, into) {
  const sure = await ask({ title: t("person.merge_title"), text: t("person.merge_text", { name: remark, into }),
    yes: t("person.merge"), no: t("cancel"), danger: true });
  if (!sure) return false;
  try {
    await renamePerson(remark, into, true);
    return true;
  } catch (error) {
    toast(why(error), { bad: true });
    return false;
  }
}

async function remove(remark, go) {
  const sure = await ask({ title: t("person.delete_title", { name: remark }), text: t("person.delete_text", { name: remark }),
    yes: t("person.delete"), no: t("cancel"), danger: true });
  if (!sure) return;
  announceDeletion(keyOf(remark), t("person.deleted", { name: remark }), (options) => deletePerson(remark, options), {
    hide: () => go("#/people"),
    restore: (undone) => { if (undone) go(`#/people/${encodeURIComponent(remark)}`); },
  });
}

function faceCard(face, signal) {
  const until = el("p", { className: "hint" });
  const showExpiry = (expiresAt) => fill(until, expiresAt ? t("face.expires", { time: time(expiresAt) }) : null);
  showExpiry(face.expires_at);
  const registered = time(face.registered_at);
  const card = el("li", { className: "photo" },
    picture(face.face_id, t("face.alt", { name: face.remark, time: registered }), signal),
    el("p", { className: "hint" }, t("face.registered", { time: registered })),
    until,
    face.metadata && el("details", {}, el("summary", {}, t("face.metadata")), el("pre", {}, JSON.stringify(face.metadata, null, 2))),
    el("div", { className: "row" },
      button(t("face.expiry"), () => changeExpiry(face, showExpiry), { "aria-label": t("face.expiry_named", { time: registered }) }),
      button(t("face.delete"), () => removeFace(face, card), { className: "danger", "aria-label": t("face.delete_named", { time: registered }) })));
  return card;
}

async function changeExpiry(face, showExpiry) {
  const input = el("input", { type: "datetime-local", "data-label": t("face.expires_at"), value: face.expires_at ? local(face.expires_at) : "" });
  const wanted = await ask({ title: t("face.expiry_title", { name: face.remark }), text: t("face.expiry_text"), yes: t("save"), no: t("cancel"), input });
  if (wanted === null) return;
  try {
    const changed = await changeFace(face.face_id, { expires_at: wanted ? new Date(wanted).toISOString() : null });
    face.expires_at = changed.expires_at;
    showExpiry(changed.expires_at);
  } catch (error) { toast(why(error), { bad: true }); }
}

/** A time as `datetime-local` has it: in the reader's zone, to the minute. */
function local(text) {
  const moment = new Date(text);
  return new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

async function removeFace(face, card) {
  const sure = await ask({ title: t("face.delete_title", { name: face.remark }), text: t("face.delete_text", { time: time(face.registered_at) }),
    yes: t("face.delete"), no: t("cancel"), danger: true });
  if (!sure) return;
  announceDeletion(faceKey(face), t("face.deleted", { name: face.remark }), (options) => deleteFace(face.face_id, options), {
    hide: () => { card.hidden = true; },
    restore: () => { card.hidden = false; },
    ondone: () => card.remove(),
  });
}
