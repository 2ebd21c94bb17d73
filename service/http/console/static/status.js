// Status: what runs here, how it is doing, and what the operator should know.

import { getStatus } from "./api.js";
import { el, fill } from "./dom.js";
import { bytes, duration, has, number, percent, score, t, why } from "./i18n.js";

const EVERY_MS = 5000;

export async function show(main, { signal }) {
  const body = el("div", {});
  fill(main, el("h1", {}, t("nav.status")), body);
  const load = async () => {
    try {
      fill(body, overview(await getStatus(signal)));
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(body, el("p", { className: "problem", role: "alert" }, why(error)));
    }
    if (!signal.aborted) setTimeout(load, EVERY_MS);
  };
  await load();
}

function overview(status) {
  return [warnings(status), el("dl", { className: "facts" }, facts(status).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    el("h2", {}, t("status.stages")), stages(status.stages)];
}

function warnings(status) {
  const told = status.warnings.map((each) => (has(`warning.${each.code}`) ? t(`warning.${each.code}`) : each.detail));
  if (!window.isSecureContext) told.push(t("warning.plain_http"));
  return told.length ? el("ul", { className: "warnings" }, told.map((text) => el("li", { className: "warning" }, text))) : el("p", { className: "good" }, t("status.no_warnings"));
}

function facts(status) {
  const rate = percent(status.fpir, 1);
  return [
    [t("status.faces"), number(status.faces)],
    [t("status.gallery"), el("bdi", {}, status.gallery)],
    [t("status.threshold"), status.threshold === null ? t("status.no_threshold")
      : t(status.measured ? "status.threshold_measured" : "status.threshold_fixed", { score: score(status.threshold), rate, in: number(1 / status.fpir) })],
    [t("status.model"), `${status.model} · ${status.precision}`],
    [t("status.queue"), t("status.queue_of", { photos: status.photos_waiting, crops: status.crops_waiting, most: status.max_queue })],
    [t("status.disk"), status.disk === null ? t("status.disk_elsewhere") : t("status.disk_free", { free: bytes(status.disk.free_bytes), total: bytes(status.disk.total_bytes) })],
    [t("status.uptime"), duration(status.uptime_s)],
    [t("status.version"), status.version],
  ];
}

/** A bar for each stage of the last requests: as long as its median, with a thin line to the slowest twentieth. */
function stages(list) {
  if (list.length === 0) return el("p", { className: "hint" }, t("status.no_requests"));
  const longest = Math.max(...list.map((each) => each.p95_ms), 1);
  return el("table", { className: "stages" },
    el("thead", {}, el("tr", {}, ["status.stage", "status.median", "status.p95", "status.drawn"].map((key) => el("th", { scope: "col" }, t(key))))),
    el("tbody", {}, list.map((each) => el("tr", {},
      el("th", { scope: "row" }, has(`stage.${each.stage}`) ? t(`stage.${each.stage}`) : each.stage),
      el("td", {}, `${number(each.median_ms, 1)} ms`), el("td", {}, `${number(each.p95_ms, 1)} ms`),
      el("td", { className: "drawn", "aria-hidden": "true" }, bar(each, longest))))));
}

function bar(stage, longest) {
  const full = el("div", { className: "full" }), slow = el("div", { className: "slow" });
  full.style.width = `${(100 * stage.median_ms) / longest}%`;
  slow.style.width = `${(100 * stage.p95_ms) / longest}%`;
  return el("div", { className: "bar" }, slow, full);
}
