/** What is kept for how long, and copied for a second window. */

import { channel } from "./here.js";

/** @typedef {import("./persist.js").Persistence} Persistence */

const SESSIONS_KEPT = 5;
/** Photos of a list that were never opened have files and no session. */
const UNCLAIMED_MS = 7 * 24 * 3600 * 1000;
const ANSWER_MS = 100;

/**
 * Drops sessions but the newest few, and files that no session has for days.
 * @param {Persistence} persistence @param {ReadonlySet<string>} listed sessions of this window
 */
export async function prune(persistence, listed) {
  const inUse = async (/** @type {string} */ key) => listed.has(key) || openElsewhere(key);
  const sessions = await persistence.list();
  for (const { key } of sessions.slice(SESSIONS_KEPT)) if (!(await inUse(key))) await persistence.drop(key);
  const known = new Set(sessions.map(({ key }) => key));
  const owners = new Set((await persistence.blobNames()).map((name) => name.split("/")[0]));
  for (const key of owners) {
    if (!known.has(key) && madeAt(key) < Date.now() - UNCLAIMED_MS) await persistence.drop(key);
  }
}

/** Whether another window has the session open. @param {string} key @returns {Promise<boolean>} */
export function openElsewhere(key) {
  return new Promise((resolve) => {
    const listen = (/** @type {MessageEvent} */ { data }) => {
      if (data.taken === key) done(true);
    };
    const done = (/** @type {boolean} */ taken) => {
      channel.removeEventListener("message", listen);
      resolve(taken);
    };
    channel.addEventListener("message", listen);
    channel.postMessage({ ask: key });
    setTimeout(() => done(false), ANSWER_MS);
  });
}

/** A second copy under another name, for a second window. @param {Persistence} persistence @param {string} from @param {string} to */
export async function copy(persistence, from, to) {
  for (const name of (await persistence.blobNames(from)).map((each) => each.slice(from.length + 1))) {
    const blob = await persistence.loadBlob(from, name);
    if (blob) await persistence.saveBlob(to, name, blob);
  }
  const session = await persistence.load(from);
  if (session) await persistence.save({ ...session, key: to, image: { ...session.image, key: to } });
}

/** When a key was made, which is its first part. @param {string} key */
const madeAt = (key) => Number.parseInt(key.split("-")[0], 36) || 0;
