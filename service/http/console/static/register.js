// Register: photos of one person, each with its outcome: registered, refused and why, or here already under another name.

import { changeFace, deleteFace, register } from "./api.js";
import { chooser } from "./chooser.js";
import { button, el, field, fill, toast } from "./dom.js";
import { score, t, why } from "./i18n.js";
import { announceDeletion } from "./undo.js";

const AT_ONCE = 2;

export async function show(main, { signal, parameters }) {
  const name = el("input", { type: "text", required: true, maxlength: 1024, autocomplete: "off", dir: "auto", value: parameters[0] ?? "" });
  const expiry = el("input", { type: "datetime-local" });
  const panel = el("div", {}), list = el("ul", { className: "outcomes" });
  const waiting = [];
  const send = el("button", { type: "submit", className: "primary", disabled: true }, t("register.send", { n: 0 }));
  const count = () => { send.disabled = waiting.length === 0; send.textContent = t("register.send", { n: waiting.length }); };

  const add = (photos) => {
    for (const photo of photos) {
      const row = photoRow(photo, () => { waiting.splice(waiting.indexOf(entry), 1); row.element.remove(); count(); });
      const entry = { photo, row };
      waiting.push(entry);
      list.prepend(row.element);
    }
    count();
  };
  const submit = async (event) => {
    event.preventDefault();
    const remark = name.value.trim();
    if (!remark || waiting.length === 0) { name.reportValidity(); return; }
    const query = { remark, expires_at: expiry.value ? new Date(expiry.value).toISOString() : null };
    const entries = waiting.splice(0);
    count();
    const work = async () => {
      for (let entry = entries.shift(); entry; entry = entries.shift()) await registerOne(entry, query, signal);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  };
  fill(main, el("h1", {}, t("nav.register")),
    el("form", { className: "narrow", onsubmit: submit },
      field(t("register.name"), name, t("register.name_hint")),
      el("div", { className: "field", role: "group", "aria-label": t("register.photos") },
        el("span", { className: "label" }, t("register.photos")),
        chooser({ multiple: true, signal, panel, onphotos: add }), panel),
      el("details", {}, el("summary", {}, t("register.more")), field(t("face.expires_at"), expiry, t("register.expiry_hint"))),
      el("div", { className: "row" }, send)),
    list);
}

function photoRow(photo, onremove) {
  const url = URL.createObjectURL(photo);
  const release = () => URL.revokeObjectURL(url);
  const said = el("div", { className: "said", role: "status" }, t("register.waiting"));
  const remove = button(t("register.leave_out"), onremove, { className: "quiet", "aria-label": t("register.leave_out_named", { name: photo.name }) });
  const element = el("li", { className: "outcome" },
    el("img", { src: url, alt: "", width: 72, height: 72, onload: release, onerror: release }),
    el("div", {}, el("bdi", { className: "hint" }, photo.name), said), remove);
  return { element, said, remove };
}

async function registerOne({ photo, row }, query, signal) {
  row.remove.remove();
  fill(row.said, t("register.busy"));
  try {
    const { faces } = await register(photo, query, signal);
    row.element.classList.add(faces.some((face) => face.duplicate_of) ? "doubtful" : "good");
    fill(row.said, faces.map((face) => registered(face, row)));
  } catch (error) {
    if (error.name === "AbortError") return;
    row.element.classList.add("bad");
    fill(row.said, el("strong", {}, t("register.refused")), " ", why(error));
  }
}

function registered(face, row) {
  const link = el("a", { href: `#/people/${encodeURIComponent(face.remark)}` }, el("bdi", {}, face.remark));
  const done = el("p", {}, t("register.done"), " ", link);
  if (!face.duplicate_of) return done;
  const other = face.duplicate_of;
  const same = button(t("register.same", { name: other.remark }), async () => {
    try {
      await changeFace(face.face_id, { remark: other.remark });
      same.parentElement.remove();
      link.href = `#/people/${encodeURIComponent(other.remark)}`;
      fill(link, el("bdi", {}, other.remark));
      row.element.classList.replace("doubtful", "good");
    } catch (error) { toast(why(error), { bad: true }); }
  });
  const mistake = button(t("register.take_back"), () => announceDeletion(
    `face ${face.face_id}`, t("face.deleted", { name: face.remark }),
    (options) => deleteFace(face.face_id, options),
    { hide: () => { row.element.hidden = true; }, restore: () => { row.element.hidden = false; } }));
  return [done, el("div", { className: "warning" },
    el("p", {}, t("register.already_here", { score: score(other.score) }), " ",
      el("a", { href: `#/people/${encodeURIComponent(other.remark)}` }, el("bdi", {}, other.remark)), "."),
    el("div", { className: "row" }, same, mistake))];
}
