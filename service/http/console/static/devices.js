// Devices: who called lately, and why requests were refused.

import { getDevices } from "./api.js";
import { el, fill } from "./dom.js";
import { has, number, t, time, why } from "./i18n.js";

const EVERY_MS = 5000;

export async function show(main, { signal }) {
  const body = el("div", {});
  fill(main, el("h1", {}, t("nav.devices")), el("p", { className: "hint" }, t("devices.hint")), body);
  const load = async () => {
    try {
      const { devices } = await getDevices(signal);
      fill(body, devices.length ? table(devices) : el("p", { className: "empty" }, t("devices.none")));
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(body, el("p", { className: "problem", role: "alert" }, why(error)));
    }
    if (!signal.aborted) setTimeout(load, EVERY_MS);
  };
  await load();
}

function table(devices) {
  const heads = ["devices.name", "devices.address", "devices.last", "devices.requests", "devices.refused"];
  return el("div", { className: "scroll", role: "group", tabindex: 0, "aria-label": t("nav.devices") }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map((key) => el("th", { scope: "col" }, t(key))))),
    el("tbody", {}, devices.map((device) => el("tr", {},
      el("th", { scope: "row" }, device.name === null ? t("devices.nameless") : el("bdi", {}, device.name)),
      el("td", {}, device.client), el("td", {}, time(device.last_at)), el("td", {}, number(device.requests)),
      el("td", {}, device.refusals.length ? el("ul", { className: "plain" }, device.refusals.map(refusal)) : "–"))))));
}

const refusal = ({ reason, count }) =>
  el("li", {}, `${number(count)} × `, has(`code.${reason}`) ? t(`code.${reason}`) : reason);
