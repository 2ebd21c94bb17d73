// Backup: the whole gallery as a file, written to the disk as it comes where the browser can do that.

import { ask as request } from "./api.js";
import { button, el, fill, save } from "./dom.js";
import { bytes, t, why } from "./i18n.js";

export async function show(main, { signal }) {
  const told = el("p", { role: "status" });
  const start = button(t("backup.start"), () => download(), { className: "primary" });
  const download = async () => {
    start.disabled = true;
    try {
      const file = await place();
      fill(told, t("backup.begins"));
      const response = await request("GET", "/export", { signal });
      const size = await keep(response, file, (count) => fill(told, t("backup.so_far", { size: bytes(count) })));
      fill(told, t("backup.done", { size: bytes(size) }));
    } catch (error) {
      if (error.name !== "AbortError") fill(told, el("span", { className: "problem" }, error.code ? why(error) : t("backup.broken")));
      else fill(told);
    }
    start.disabled = false;
  };
  fill(main, el("h1", {}, t("nav.backup")), el("p", {}, t("backup.what")), el("p", { className: "warning" }, t("backup.care")),
    el("div", { className: "row" }, start), told);
}

const nameOfToday = () => `faces-${new Date().toISOString().slice(0, 10)}.jsonl`;

/** Where the file shall go, asked while the click is fresh; null where the browser only has downloads. */
const place = async () => window.showSaveFilePicker?.({ suggestedName: nameOfToday() }) ?? null;

async function keep(response, file, onprogress) {
  const writer = file && await file.createWritable();
  const parts = [], reader = response.body.getReader();
  let size = 0;
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    size += value.byteLength;
    if (writer) await writer.write(value);
    else parts.push(value);
    onprogress(size);
  }
  if (writer) await writer.close();
  else save(new Blob(parts, { type: "application/x-ndjson" }), nameOfToday());
  return size;
}
