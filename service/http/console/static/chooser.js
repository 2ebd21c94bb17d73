// Where photos come from: chosen, dropped, pasted, or taken with the camera.

import { Camera } from "./camera.js";
import { button, el, fill, toast } from "./dom.js";
import { t } from "./i18n.js";

/** A part of the page that hands photos to `onphotos`, until `signal` says that it is gone.
 *  `panel` is where the camera's picture stands, `extra` gives more buttons beside it. */
export function chooser({ multiple = false, onphotos, signal, panel, extra = () => [], onstop = () => {} }) {
  const input = el("input", { type: "file", accept: "image/*", multiple, className: "hidden", tabindex: -1, "aria-hidden": "true",
    onchange: () => { take(input.files); input.value = ""; } });
  const camera = new Camera(el("video", { "aria-label": t("camera.picture") }));
  let facing = "user";
  const take = (files) => {
    const photos = [...files].filter((each) => each.type.startsWith("image/") || each.type === "");
    if (photos.length < files.length) toast(t("photo.no_photo"), { bad: true });
    if (photos.length > 0) onphotos(multiple ? photos : photos.slice(0, 1));
  };
  const stop = () => { camera.stop(); fill(panel); onstop(); choices.hidden = false; };
  const start = async () => {
    try {
      await camera.start(facing);
    } catch (error) {
      toast(error.message, { bad: true });
      return;
    }
    if (signal.aborted) { camera.stop(); return; }
    choices.hidden = true;
    fill(panel,
      el("div", { className: "stage" }, camera.video),
      el("div", { className: "row" },
        button(t("camera.take"), async () => { const photo = await camera.photo(); if (photo) onphotos([photo]); }, { className: "primary" }),
        ...extra(camera),
        button(t("camera.turn"), () => { facing = facing === "user" ? "environment" : "user"; start(); }),
        button(t("camera.stop"), stop)));
  };
  const choices = el("div", { className: "drop",
    ondragover: (event) => { event.preventDefault(); choices.classList.add("over"); },
    ondragleave: () => choices.classList.remove("over"),
    ondrop: (event) => { event.preventDefault(); choices.classList.remove("over"); take(event.dataTransfer.files); } },
  el("div", { className: "row" },
    button(t(multiple ? "photo.choose_many" : "photo.choose"), () => input.click(), { className: "primary" }),
    button(t("camera.start"), start)),
  el("p", { className: "hint" }, t("photo.drop_or_paste")), input);
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length > 0) { event.preventDefault(); take(event.clipboardData.files); }
  }, { signal });
  signal.addEventListener("abort", () => camera.stop());
  return choices;
}
