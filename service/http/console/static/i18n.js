// Texts in the language of the browser, or in the one that was chosen.

import en from "./words/en.js";
import zh from "./words/zh.js";
import { preferences } from "./session.js";

const WORDS = { en, zh };
export const LANGUAGES = [["en", "English"], ["zh", "中文"]];

/** The chosen language, else the first of the browser's that there are texts in. */
export function language() {
  const wanted = [preferences.language, ...navigator.languages].map((each) => (each ?? "").slice(0, 2).toLowerCase());
  return wanted.find((each) => each in WORDS) ?? "en";
}

const locale = () => ({ en: navigator.language.startsWith("en") ? navigator.language : "en", zh: "zh-CN" })[language()];

/** The text of a key, with the values in the places of `{names}`; of «one» and «other» the one that fits `n`. */
export function t(key, values = {}) {
  let text = WORDS[language()][key] ?? en[key] ?? key;
  if (typeof text === "object") text = text[new Intl.PluralRules(locale()).select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name] ?? whole;
    return typeof value === "number" ? number(value) : value;
  });
}

export const has = (key) => key in en;
export const number = (value, digits = 0) => value.toLocaleString(locale(), { maximumFractionDigits: digits });
export const score = (value) => value.toLocaleString(locale(), { minimumFractionDigits: 2, maximumFractionDigits: 2 });
export const percent = (share, digits = 0) =>
  share.toLocaleString(locale(), { style: "percent", maximumFractionDigits: digits });
export const time = (text) => new Date(text).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short" });

/** Bytes in the unit that suits them. */
export function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const power = Math.min(Math.floor(Math.log(Math.max(count, 1)) / Math.log(1000)), units.length - 1);
  return (count / 1000 ** power).toLocaleString(locale(), {
    style: "unit", unit: units[power], maximumFractionDigits: power > 0 ? 1 : 0 });
}

/** A span of time in its two largest units. */
export function duration(seconds) {
  const parts = [["day", Math.floor(seconds / 86400)], ["hour", Math.floor(seconds / 3600) % 24],
    ["minute", Math.floor(seconds / 60) % 60], ["second", Math.floor(seconds) % 60]];
  const first = parts.findIndex(([, count]) => count > 0);
  return parts.slice(first === -1 ? 3 : first).slice(0, 2)
    .map(([unit, count]) => count.toLocaleString(locale(), { style: "unit", unit, unitDisplay: "long" })).join(" ");
}

/** What went wrong, in the reader's language where the code is known, else in the service's own sentence. */
export function why(failure) {
  const key = `code.${failure.code}`;
  return has(key) ? t(key) : failure.detail || String(failure);
}
