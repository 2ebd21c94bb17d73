// The page around the views: signing in, finding one's way, language and colours.

import { Failure, getGalleries, getModel, refusals } from "./api.js";
import * as backup from "./backup.js";
import * as devices from "./devices.js";
import { button, el, field, fill, select } from "./dom.js";
import { LANGUAGES, language, t, why } from "./i18n.js";
import * as importing from "./import.js";
import * as people from "./people.js";
import * as person from "./person.js";
import * as recognise from "./recognise.js";
import * as register from "./register.js";
import { preferences, session } from "./session.js";
import * as status from "./status.js";
import { carryOutAll } from "./undo.js";

const VIEWS = { recognise, register, people, import: importing, devices, status, backup };
const header = document.getElementById("header"), main = document.getElementById("main");
let leaving = new AbortController(), galleries = [], open = false;

/** The view and its parameters that the address names, such as `#/people/Zo%C3%AB`. */
function place() {
  const [name = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  const parameters = rest.map((each) => { try { return decodeURIComponent(each); } catch { return each; } });
  const known = Object.hasOwn(VIEWS, name) ? name : "recognise";
  return { name: known, parameters, view: known === "people" && parameters[0] ? person : VIEWS[known] };
}

async function showPlace({ focus = true } = {}) {
  leaving.abort();
  leaving = new AbortController();
  const { name, parameters, view } = place(), { signal } = leaving;
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  document.title = `${t(`nav.${name}`)} – ${t("title")}`;
  showHeader(name);
  fill(main);
  if (focus) { main.focus({ preventScroll: true }); scrollTo(0, 0); }
  try {
    await view.show(main, { signal, parameters, go: (hash) => { location.hash === hash ? showPlace() : location.assign(hash); } });
  } catch (error) {
    if (error.name !== "AbortError") fill(main, el("p", { className: "problem", role: "alert" }, why(error)));
  }
}

function showHeader(current) {
  fill(header,
    el("a", { className: "skip", href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } }, t("nav.skip")),
    el("span", { className: "title" }, t("title")),
    open && el("nav", { "aria-label": t("nav.label") }, Object.keys(VIEWS).map((name) =>
      el("a", { href: `#/${name}`, "aria-current": name === current ? "page" : null }, t(`nav.${name}`)))),
    el("div", { className: "row settings" },
      open && galleries.length > 1 && chosenGallery(),
      chosen(t("language"), LANGUAGES, language(), (value) => { preferences.language = value; again(); }),
      chosen(t("colours"), [["", t("colours.system")], ["light", t("colours.light")], ["dark", t("colours.dark")]],
        preferences.colours ?? "", (value) => { preferences.colours = value || null; showColours(); }),
      open && session.key && button(t("signout"), signOut)));
}

function chosen(label, options, value, onchange) {
  const made = select(options, value, onchange);
  made.setAttribute("aria-label", label);
  return made;
}

const chosenGallery = () => chosen(t("gallery"), [["", t("gallery.own")], ...galleries.map((name) => [name, name])],
  session.gallery ?? "", (value) => { session.gallery = value || null; again(); });

const again = () => (open ? showPlace({ focus: false }) : showSignIn());

function showColours() {
  if (preferences.colours) document.documentElement.dataset.colours = preferences.colours;
  else delete document.documentElement.dataset.colours;
}

async function signOut() {
  await carryOutAll();
  session.key = session.gallery = null;
  location.reload(); // with it goes all that was shown and is still in memory
}

/** Ask for a key where the service wants one. */
function showSignIn(failure = null) {
  open = false;
  leaving.abort();
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  showHeader(null);
  const key = el("input", { type: "password", required: true, autocomplete: "off", spellcheck: "false" });
  const form = el("form", { className: "narrow", onsubmit: async (event) => {
    event.preventDefault();
    const given = key.value.trim();
    if (!/^[!-~]+$/.test(given)) { showSignIn(t("signin.refused")); return; } // no header could have it
    session.key = given;
    await enter();
  } },
  el("h1", {}, t("signin")), el("p", {}, t("signin.hint")),
  failure && el("p", { className: "problem", role: "alert" }, failure),
  field(t("signin.key"), key, t("signin.kept")),
  el("div", { className: "row" }, el("button", { type: "submit", className: "primary" }, t("signin"))));
  fill(main, form);
  key.focus();
}

async function enter() {
  const tried = session.key;
  try {
    await getModel();
  } catch (error) {
    if (error instanceof Failure && error.status === 401) {
      session.key = null;
      showSignIn(tried ? t("signin.refused") : null);
      return;
    }
    if (error.code === "offline" || error.status >= 500) { showAway(error); return; }
    // A key that may do other things, only not this, is a key.
  }
  open = true;
  try {
    galleries = (await getGalleries()).galleries.map((each) => each.gallery);
  } catch { galleries = []; }
  if (session.gallery && !galleries.includes(session.gallery)) session.gallery = null;
  await showPlace({ focus: false });
}

function showAway(error) {
  showHeader(null);
  fill(main, el("p", { className: "problem", role: "alert" }, why(error)), button(t("again"), enter, { className: "primary" }));
}

addEventListener("hashchange", () => { if (open) showPlace(); });
refusals.addEventListener("unauthenticated", () => { if (open) { session.key = null; showSignIn(t("signin.ended")); } });
showColours();
enter();
