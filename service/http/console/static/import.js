// Import: a folder of photos, several at a time, with an outcome for each file and a report to save.

import { register } from "./api.js";
import { button, el, field, fill, save, select } from "./dom.js";
import { number, t, why } from "./i18n.js";

const AT_ONCE = 3;
const SHOWN = 200;
const TRIES = 8;
const PHOTO = /\.(jpe?g|png|webp|bmp|gif|tiff?|heic|heif)$/i;

export async function show(main, { signal }) {
  let files = [], by = "folder", running = null;
  const input = el("input", { type: "file", webkitdirectory: true, multiple: true, onchange: () => { files = photosOf(input.files); plan(); } });
  const planned = el("p", { className: "hint" }), progress = el("progress", { value: 0, "aria-label": t("import.progress") });
  const told = el("p", { role: "status" }), rows = el("tbody", {}), after = el("div", { className: "row" });
  const shown = el("div", { hidden: true }, progress, told, after, table(rows));
  const start = button(t("import.start"), () => run(), { className: "primary", disabled: true });
  const plan = () => {
    const names = new Set(files.map((file) => nameOf(file, by)));
    fill(planned, files.length ? t("import.planned", { n: files.length, people: number(names.size) }) : t("import.no_photos"));
    start.disabled = files.length === 0 || running !== null;
  };
  const run = async () => {
    const mine = running = { outcomes: [], stopped: false };
    start.disabled = true;
    fill(rows);
    shown.hidden = false;
    const todo = [...files], total = todo.length;
    progress.max = total;
    const stop = button(t("import.stop"), () => { mine.stopped = true; stop.disabled = true; });
    fill(after, stop);
    const count = { done: 0, refused: 0 };
    const work = async () => {
      for (let file = todo.shift(); file && !mine.stopped && !signal.aborted; file = todo.shift()) {
        const outcome = await importOne(file, nameOf(file, by), signal, mine);
        if (outcome === null) return;
        mine.outcomes.push(outcome);
        count[outcome.ok ? "done" : "refused"] += 1;
        rows.prepend(rowOf(outcome));
        if (rows.children.length > SHOWN) rows.lastElementChild.remove();
        progress.value = mine.outcomes.length;
        fill(told, t("import.so_far", { n: mine.outcomes.length, of: total, ...count }));
      }
    };
    const warn = (event) => event.preventDefault();
    addEventListener("beforeunload", warn, { signal });
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    removeEventListener("beforeunload", warn);
    running = null;
    plan();
    fill(told, t(mine.stopped ? "import.stopped" : "import.finished", { n: mine.outcomes.length, of: total, ...count }));
    fill(after, button(t("import.report"), () => saveReport(mine.outcomes)));
  };
  fill(main, el("h1", {}, t("nav.import")), el("div", { className: "narrow" },
    field(t("import.folder"), input, t("import.folder_hint")),
    field(t("import.names"), select([["folder", t("import.by_folder")], ["file", t("import.by_file")]], by, (value) => { by = value; plan(); })),
    planned, el("div", { className: "row" }, start)),
  shown);
}

function table(rows) {
  const heads = ["import.file", "register.name", "import.outcome"];
  return el("div", { className: "scroll", role: "group", tabindex: 0, "aria-label": t("import.outcomes") }, el("table", {}, el("caption", { className: "hint" }, t("import.outcomes")),
    el("thead", {}, el("tr", {}, heads.map((key) => el("th", { scope: "col" }, t(key))))), rows));
}

function photosOf(chosen) {
  return [...chosen].filter((file) => PHOTO.test(file.name) && !file.name.startsWith("."))
    .sort((one, other) => (one.webkitRelativePath < other.webkitRelativePath ? -1 : 1));
}

/** Whose photo a file is: its folder's name, or the file's own without the ending and a number behind it. */
function nameOf(file, by) {
  const folders = file.webkitRelativePath.split("/");
  const own = file.name.replace(PHOTO, "").replace(/[ _-]*\d+$/, "") || file.name.replace(PHOTO, "");
  return by === "folder" && folders.length > 1 ? folders.at(-2) : own;
}

/** The outcome; what may pass, such as a service that is busy or away, is tried again. Null where nobody waits for it. */
async function importOne(file, name, signal, { stopped }) {
  const outcome = { file: file.webkitRelativePath || file.name, name };
  for (let tries = 1; ; tries += 1) {
    try {
      const { faces } = await register(file, { remark: name }, signal);
      const duplicate = faces.find((face) => face.duplicate_of)?.duplicate_of;
      return { ...outcome, ok: true, code: duplicate ? "duplicate" : "registered", faces,
        text: duplicate ? t("import.duplicate", { name: duplicate.remark }) : t("register.done") };
    } catch (error) {
      if (error.name === "AbortError") return null;
      const passing = error.status === 503 || error.status === 429 || error.code === "offline";
      if (!passing || tries === TRIES || stopped) return { ...outcome, ok: false, code: error.code, faces: [], text: why(error) };
      await new Promise((resolve) => { setTimeout(resolve, Math.max(error.waitSeconds, tries) * 1000); });
    }
  }
}

function rowOf(outcome) {
  return el("tr", { className: outcome.ok ? "good" : "bad" },
    el("td", {}, el("bdi", {}, outcome.file)), el("td", {}, el("bdi", {}, outcome.name)), el("td", {}, outcome.text));
}

function saveReport(outcomes) {
  const lines = [["file", "name", "outcome", "face_ids", "detail"],
    ...outcomes.map((each) => [each.file, each.name, each.code, each.faces.map((face) => face.face_id).join(" "), each.text])];
  const text = lines.map((line) => line.map(cell).join(",")).join("\r\n");
  save(new Blob(["\ufeff", text, "\r\n"], { type: "text/csv" }), "import-report.csv");
}

/** A cell of a CSV file, which no spreadsheet takes for a formula. */
function cell(text) {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${harmless.replaceAll('"', '""')}"`;
}
