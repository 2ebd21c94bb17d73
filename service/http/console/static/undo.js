// Deletions that wait some seconds before they are asked for, so that they can be taken back.

import { toast } from "./dom.js";
import { t, why } from "./i18n.js";
import { session } from "./session.js";

export const UNDO_SECONDS = 6;
const pending = new Map();

const keyHere = (name) => `${session.gallery ?? ""} ${name}`;

/** Hide what is to be deleted, say so, and call `carryOut` with a request's options when the time to undo is over.
 *  `name` is for `isGoing`. `restore` is told whether somebody has undone it, or it could not be deleted. */
export function announceDeletion(name, text, carryOut, { hide, restore, ondone = () => {} }) {
  const { gallery } = session, key = keyHere(name); // another may be chosen meanwhile
  if (pending.has(key)) return;
  const settle = async (options = {}) => {
    if (!pending.has(key)) return;
    clearTimeout(timer);
    removeToast();
    try {
      await carryOut({ gallery, ...options });
      ondone();
    } catch (error) {
      if (error.status === 404) ondone(); // somebody else was faster
      else {
        restore(false);
        toast(why(error), { bad: true });
      }
    } finally {
      pending.delete(key);
    }
  };
  pending.set(key, settle);
  hide();
  const timer = setTimeout(settle, UNDO_SECONDS * 1000);
  const removeToast = toast(text, {
    action: t("undo"), seconds: UNDO_SECONDS,
    onaction: () => { if (pending.delete(key)) { clearTimeout(timer); restore(true); } },
  });
}

/** Whether something is as good as deleted, so that no list shows it. */
export const isGoing = (name) => pending.has(keyHere(name));

/** Carry out now all that waits. */
export const carryOutAll = (options) => Promise.all([...pending.values()].map((settle) => settle(options)));

// Who closes the page has seen that it is deleted; the browser sends these requests after the page is gone.
addEventListener("pagehide", () => carryOutAll({ keepalive: true }));
