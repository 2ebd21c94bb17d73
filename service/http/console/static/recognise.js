// Recognise: whose faces a photo shows, or the camera sees, once or every second.

import { identify } from "./api.js";
import { chooser } from "./chooser.js";
import { button, el, fill } from "./dom.js";
import { has, score, t, why } from "./i18n.js";
import { drawBoxes, photoStage, stateOf } from "./stage.js";

const LIVE_EVERY_MS = 1000;

export async function show(main, { signal }) {
  const panel = el("div", {}), shown = el("div", {}), list = el("div", { className: "faces", "aria-live": "polite" });
  let asked = 0, live = null;

  const recognise = async (photo) => {
    asked += 1;
    const mine = asked;
    if (!live) fill(list, el("p", { className: "loading" }, t("recognise.busy")));
    try {
      const seen = await identify(photo, signal);
      if (mine !== asked || signal.aborted) return;
      if (live) drawBoxes(panel.querySelector(".stage"), seen);
      else await showPhoto(photo, seen);
      fill(list, summary(seen), seen.faces.map((face, index) => card(face, index, seen.threshold)));
    } catch (error) {
      if (error.name === "AbortError" || mine !== asked) return;
      if (live && error.status !== 503 && error.code !== "offline") stopLive();
      fill(list, el("p", { className: "problem", role: "alert" }, why(error)));
    }
  };
  const showPhoto = async (photo, seen) => {
    const stage = await photoStage(photo, seen);
    drawBoxes(stage, seen);
    fill(shown, stage);
  };
  const stopLive = () => {
    clearTimeout(live?.timer);
    live = null;
    asked += 1; // what is still on its way is not shown any more
    panel.querySelectorAll(".box").forEach((each) => each.remove());
    const toggle = panel.querySelector(".live");
    if (toggle) { toggle.setAttribute("aria-pressed", "false"); toggle.textContent = t("recognise.live"); }
  };
  const startLive = (camera) => {
    fill(shown);
    const mine = { timer: null };
    live = mine;
    const step = async () => {
      const began = performance.now();
      const photo = await camera.photo();
      if (photo && live === mine) await recognise(photo);
      if (live === mine) mine.timer = setTimeout(step, Math.max(0, LIVE_EVERY_MS - (performance.now() - began)));
    };
    step();
  };
  const liveButton = (camera) => {
    const toggle = button(t("recognise.live"), () => {
      if (live) { stopLive(); return; }
      toggle.setAttribute("aria-pressed", "true");
      toggle.textContent = t("recognise.live_stop");
      startLive(camera);
    }, { className: "live", "aria-pressed": "false" });
    return [toggle];
  };
  signal.addEventListener("abort", stopLive);
  fill(main, el("h1", {}, t("nav.recognise")), el("div", { className: "columns" },
    el("div", {}, chooser({ signal, panel, extra: liveButton, onstop: stopLive,
      onphotos: ([photo]) => { stopLive(); recognise(photo); } }), panel, shown),
    list));
}

function summary(seen) {
  if (seen.faces.length === 0) return el("p", { className: "problem" }, t("recognise.no_face"));
  const known = seen.faces.filter((face) => face.matched).length;
  return el("p", { className: "summary" },
    t("recognise.found", { n: seen.faces.length }), t("recognise.known_of_them", { n: known }));
}

function card(face, index, threshold) {
  const state = stateOf(face), best = face.matches[0];
  const title = state === "known" ? best.remark : t(`recognise.${state}`);
  return el("article", { className: `card ${state}`, "aria-label": t("recognise.face", { n: index + 1 }) },
    el("h2", {}, el("span", { className: "number" }, String(index + 1)), " ",
      el("bdi", { className: "name", title }, title)),
    state === "poor" && el("p", {}, reason(face.quality.problem)),
    state === "unknown" && el("p", {}, t(face.matches.length ? "recognise.unknown_why" : "recognise.nobody")),
    el("ol", { className: "matches" }, face.matches.map((match) => matchLine(match, threshold))));
}

/** Why a face is too poor, from the slug of its problem. */
export function reason(problem) {
  return has(`code.${problem}`) ? t(`code.${problem}`) : problem;
}

function matchLine(match, threshold) {
  return el("li", { className: match.matched ? "match" : "match below" },
    match.picture ? el("img", { src: `data:image/jpeg;base64,${match.picture}`, alt: "", width: 56, height: 56 }) : null,
    el("div", {},
      el("a", { href: `#/people/${encodeURIComponent(match.remark)}` }, el("bdi", {}, match.remark)),
      scoreBar(match.score, threshold),
      el("span", { className: "hint" }, t(match.matched ? "recognise.reaches" : "recognise.below",
        { score: score(match.score), threshold: score(threshold) }))));
}

/** A bar from 0 to 1, with a mark at the threshold; the numbers stand beside it, for everybody. */
function scoreBar(value, threshold) {
  const within = (number) => `${100 * Math.min(1, Math.max(0, number))}%`;
  const full = el("div", { className: "full" }), mark = el("div", { className: "mark" });
  full.style.width = within(value);
  mark.style.left = within(threshold);
  return el("div", { className: "bar", "aria-hidden": "true" }, full, threshold > 0 && mark);
}
