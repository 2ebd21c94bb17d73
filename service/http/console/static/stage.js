// A photo with a box around each of its faces.

import { el } from "./dom.js";
import { t } from "./i18n.js";

const LONGEST = 1600;

/** The photo as the service saw it: upright by its EXIF, and turned by `seen.rotation` degrees. A photo in a format that
 *  the browser can't show is a grey picture of the same size. `seen` is an answer with width, height and rotation. */
export async function photoStage(photo, seen) {
  const canvas = el("canvas", { role: "img", "aria-label": t("photo.shown", { name: photo.name || "" }) });
  const scale = Math.min(1, LONGEST / Math.max(seen.width, seen.height));
  canvas.width = Math.max(1, Math.round(seen.width * scale));
  canvas.height = Math.max(1, Math.round(seen.height * scale));
  const context = canvas.getContext("2d");
  try {
    const picture = await createImageBitmap(photo);
    const lying = seen.rotation % 180 !== 0;
    const [width, height] = lying ? [canvas.height, canvas.width] : [canvas.width, canvas.height];
    context.translate(canvas.width / 2, canvas.height / 2);
    context.rotate((seen.rotation * Math.PI) / 180);
    context.drawImage(picture, -width / 2, -height / 2, width, height);
    picture.close();
  } catch {
    context.fillStyle = "#8888";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  return el("div", { className: "stage" }, canvas);
}

/** Draw the boxes of an answer's faces over a stage, in the place of those that were there. */
export function drawBoxes(stage, seen) {
  stage.querySelectorAll(".box").forEach((each) => each.remove());
  seen.faces.forEach((face, index) => {
    const { left, top, right, bottom } = face.box;
    const box = el("div", { className: `box ${stateOf(face)}`, "aria-hidden": "true" }, el("span", {}, String(index + 1)));
    box.style.left = `${(100 * left) / seen.width}%`;
    box.style.top = `${(100 * top) / seen.height}%`;
    box.style.width = `${(100 * (right - left)) / seen.width}%`;
    box.style.height = `${(100 * (bottom - top)) / seen.height}%`;
    stage.append(box);
  });
}

/** `poor`, `known` or `unknown`, for the colour of a face's box and card. */
export function stateOf(face) {
  if (face.quality.problem !== null) return "poor";
  return face.matched ? "known" : "unknown";
}
