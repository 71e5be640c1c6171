/**
 * What belongs to this window and outlives a reload: which session is open, and the list of photos.
 *
 * @typedef {object} Item
 * @property {string} key
 * @property {string} name
 * @property {string} [version]  of a file in the server's folder, which has it: it is not kept here
 * @property {number} [changedS]
 * @property {number} [bytes]
 * @property {string} [result]  URL of a small picture of what was made of it before
 * @property {boolean} [broken]  it cannot be opened
 * @typedef {{readonly at: number, readonly items: readonly Item[]}} PhotoList  at: the one that is open; -1: none of them
 */

const SESSION = "lama-server.session";
const PHOTOS = "lama-server.photos";
const ANSWER_MS = 100;

/** The session that this window has open; "" when there is none. */
let own = "";

/** @param {string} key */
export function rememberSession(key) {
  own = key;
  write(SESSION, key);
}

/** @returns {string} "" when there is none */
export const recallSession = () => read(SESSION) ?? "";

/** @param {PhotoList} list */
export const rememberPhotos = (list) => write(PHOTOS, JSON.stringify(list));

/** @returns {PhotoList} */
export function recallPhotos() {
  const list = JSON.parse(read(PHOTOS) ?? "null");
  return Array.isArray(list?.items) ? list : { at: -1, items: [] };
}

/** @param {string} name @param {string} value */
function write(name, value) {
  try {
    sessionStorage.setItem(name, value);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // not allowed here: a reload begins anew
  }
}

/** @param {string} name @returns {string | null} */
function read(name) {
  try {
    return sessionStorage.getItem(name);
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}

/** A duplicated tab has the same memory: asks the others who has a session open. @type {BroadcastChannel} */
const channel = new BroadcastChannel("lama-server");
channel.addEventListener("message", ({ data }) => {
  if (data.ask && data.ask === own) channel.postMessage({ taken: data.ask });
});

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
