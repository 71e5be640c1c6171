/**
 * The photos of the server's folder as items of the list, and the list's order.
 *
 * @typedef {import("../../session/here.js").Item} Item
 * @typedef {{name: string, size_bytes: number, changed_s: number, version: string, result: string | null, result_version: string | null}} Listed
 */

import { API } from "../../net/api.js";

/**
 * @param {readonly Listed[]} listed @param {readonly Item[]} known whose marks stay
 * @returns {Item[]}
 */
export function folderItems(listed, known) {
  const broken = new Set(known.filter((item) => item.broken).map((item) => item.key));
  return listed.map(({ name, version, size_bytes, changed_s, result, result_version }) => {
    const key = keyOf(name, version, changed_s);
    const asked = `name=${encodeURIComponent(result ?? "")}&version=${encodeURIComponent(result_version ?? "")}`;
    return {
      key,
      name,
      version,
      bytes: size_bytes,
      changedS: changed_s,
      ...(result ? { result: `${API}/photos/thumbnail?of=result&${asked}` } : {}),
      ...(broken.has(key) ? { broken: true } : {}),
    };
  });
}

/** The same for the same file after a reload, so that work on it is found. Begins with a time, as other keys do. @param {string} name @param {string} version @param {number} changedS */
function keyOf(name, version, changedS) {
  let hash = 0x811c9dc5;
  for (const character of `${name}/${version}`) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return `${Math.round(changedS * 1000).toString(36)}-folder${(hash >>> 0).toString(36)}`;
}

const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** @type {Readonly<Record<string, (a: Item, b: Item) => number>>} */
const ORDERS = {
  name: (a, b) => byName.compare(a.name, b.name),
  newest: (a, b) => (b.changedS ?? 0) - (a.changedS ?? 0),
  oldest: (a, b) => (a.changedS ?? 0) - (b.changedS ?? 0),
};

/**
 * @param {readonly Item[]} items @param {string} order @param {string} search a part of the name
 * @param {(item: Item) => boolean} isDone
 * @returns {Item[]}
 */
export function inOrder(items, order, search, isDone) {
  const words = search.trim().toLocaleLowerCase();
  const found = items.filter(({ name }) => name.toLocaleLowerCase().includes(words));
  if (order === "open") return found.sort((a, b) => Number(isDone(a)) - Number(isDone(b)) || ORDERS.name(a, b));
  return found.sort((a, b) => ORDERS[order](a, b) || ORDERS.name(a, b));
}
