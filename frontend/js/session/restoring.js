/**
 * Brings work back: after a reload by itself, in a new window when asked; and the photo that the server was started with.
 *
 * @typedef {import("../wire/protocol.js").ImageInfo} ImageInfo
 * @typedef {import("./persist.js").Session} Session
 * @typedef {Pick<import("./session.js").Ports, "store" | "api" | "uploads" | "bitmaps" | "persistence">} Ports
 */

import { newKey } from "../core/document.js";
import { API } from "../net/api.js";
import { PHOTOS, read, rememberSession, SESSION } from "./here.js";
import { copy, openElsewhere } from "./keeping.js";

/** @typedef {ReturnType<typeof createRestoring>} Restoring */

/** @param {Ports} ports @param {import("./session.js").SessionKeeper["work"]} work */
export function createRestoring({ store, api, uploads, bitmaps, persistence }, { open, reopening, list, originalOf }) {
  return {
    /** What comes back by itself. @param {string | null} given the photo that the server was started with @returns {Promise<boolean>} whether anything did */
    async begin(given) {
      if (!given) return this.restoreHere();
      await this.openFromServer(given);
      return true;
    },

    /** The photo given by --input, which the server has: with what was done to it, after a reload. @param {string} id */
    async openFromServer(id) {
      const kept = await persistence.load(recallSession());
      if (kept?.image.id === id && (await this.restoreHere())) return;
      const address = `${API}/images/${encodeURIComponent(id)}`;
      const info = /** @type {ImageInfo} */ (await api.json(address));
      const item = { key: newKey(), name: info.name };
      const file = await api.blob(`${address}/original`);
      uploads.remember(item.key, info);
      list([{ item, file }]);
      await open(item, file);
    },

    /** After a reload. @returns {Promise<boolean>} whether something was brought back */
    async restoreHere() {
      const kept = await persistence.load(recallSession());
      if (!kept) return false;
      const copied = await openElsewhere(kept.key); // a duplicated tab goes on with a copy of its own
      const key = copied ? newKey() : kept.key;
      if (copied) await copy(persistence, kept.key, key);
      const session = copied ? await persistence.load(key) : kept;
      if (!session) return false;
      rememberSession(key);
      const { items } = recallPhotos();
      const own = { ...items.find((item) => item.key === kept.key), key, name: session.image.name };
      const known = items.some((item) => item.key === kept.key);
      store.update({
        gallery: { at: -1, items: known ? items.map((item) => (item.key === kept.key ? own : item)) : [...items, own] },
      });
      await (await reopening()).reopen(session, await originalOf(key));
      return true;
    },

    /** @param {Session} session @returns {Promise<string>} URL of a small picture; "" when there is none */
    async pictureOf({ key }) {
      const blob = await persistence.loadBlob(key, "original");
      return blob ? bitmaps.thumbnail(`session ${key}`, blob).catch(() => "") : "";
    },

    /** @param {Session} session */
    async continue(session) {
      const { key, image } = session;
      store.update(({ gallery }) => ({
        gallery: { ...gallery, items: [...gallery.items, { key, name: image.name }] },
      }));
      await (await reopening()).reopen(session, await persistence.loadBlob(key, "original"));
    },
  };
}

/** @returns {string} "" when there is none */
const recallSession = () => read(SESSION) ?? "";

/** @returns {import("./here.js").PhotoList} */
function recallPhotos() {
  const list = JSON.parse(read(PHOTOS) ?? "null");
  return Array.isArray(list?.items) ? list : { at: -1, items: [] };
}
