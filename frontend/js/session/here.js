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

export const SESSION = "lama-server.session";
export const PHOTOS = "lama-server.photos";

/** The session that this window has open; "" when there is none. */
let own = "";

/** @param {string} key */
export function rememberSession(key) {
  own = key;
  write(SESSION, key);
}

/** @param {PhotoList} list */
export const rememberPhotos = (list) => write(PHOTOS, JSON.stringify(list));

/** @param {string} name @param {string} value */
function write(name, value) {
  try {
    sessionStorage.setItem(name, value);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // not allowed here: a reload begins anew
  }
}

/** @param {string} name @returns {string | null} */
export function read(name) {
  try {
    return sessionStorage.getItem(name);
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}

/** A duplicated tab has the same memory: it asks the others who has a session open. */
export const channel = new BroadcastChannel("lama-server");
channel.addEventListener("message", ({ data }) => {
  if (data.ask && data.ask === own) channel.postMessage({ taken: data.ask });
});
