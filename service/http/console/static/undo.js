// Deletions that wait some seconds before they are asked for, so that they can be taken back.

import { toast } from "./dom.js";
import { t, why } from "./i18n.js";
import { session } from "./session.js";

export const UNDO_SECONDS = 6;
const pending = new Map();

/** Hide what is to be deleted, say so, and call `carryOut` with a request's options when the time to undo is over.
 *  `key` names what is deleted, for `isGoing`. */
export function announceDeletion(key, text, carryOut, { hide, restore, ondone = () => {} }) {
  if (pending.has(key)) return;
  const { gallery } = session; // another may be chosen meanwhile
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
        restore();
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
    onaction: () => { if (pending.delete(key)) { clearTimeout(timer); restore(); } },
  });
}

/** Whether something is as good as deleted, so that no list shows it. */
export const isGoing = (key) => pending.has(key);

/** Carry out now all that waits. */
export const carryOutAll = (options) => Promise.all([...pending.values()].map((settle) => settle(options)));

// Who closes the page has seen that it is deleted; the browser sends these requests after the page is gone.
addEventListener("pagehide", () => carryOutAll({ keepalive: true }));
