// Pictures of registered faces, fetched with the operator's key, a few at a time, as they come into sight.

import { getPicture } from "./api.js";
import { el } from "./dom.js";

const AT_ONCE = 6;
const queue = [];
let busy = 0;

/** An image of a face; `alt` is its text. Nothing is fetched once `signal` says that its page is gone. */
export function picture(faceId, alt, signal) {
  const image = el("img", { alt, className: "picture", width: 160, height: 160 });
  const watcher = new IntersectionObserver((entries) => {
    if (!entries.some((each) => each.isIntersecting)) return;
    watcher.disconnect();
    queue.push({ image, faceId, signal });
    work();
  }, { rootMargin: "200px" });
  watcher.observe(image);
  signal.addEventListener("abort", () => watcher.disconnect());
  return image;
}

async function work() {
  if (busy >= AT_ONCE || queue.length === 0) return;
  busy += 1;
  const { image, faceId, signal } = queue.shift();
  try {
    if (!signal.aborted) await load(image, faceId, signal);
  } catch {
    image.classList.add("missing");
  } finally {
    busy -= 1;
    work();
  }
}

async function load(image, faceId, signal) {
  const url = URL.createObjectURL(await getPicture(faceId, signal));
  image.onload = () => URL.revokeObjectURL(url);
  image.onerror = image.onload;
  image.src = url;
}
