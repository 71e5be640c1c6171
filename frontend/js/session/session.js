/**
 * Opens photos, keeps each one's session, and brings it back: after a reload by itself, in a new window when asked.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/state.js").OpenImage} OpenImage
 * @typedef {import("../core/protocol.js").ImageInfo} ImageInfo
 * @typedef {import("./persist.js").Session} Session
 * @typedef {object} Ports
 * @property {import("../core/store.js").Store<State>} store
 * @property {import("../net/api.js").Api} api
 * @property {import("../net/uploads.js").Uploads} uploads
 * @property {import("../canvas/bitmaps.js").Bitmaps} bitmaps
 * @property {import("./persist.js").Persistence} persistence
 * @property {(error: unknown, retry: (() => void) | null) => void} complain
 * @property {(words: string) => void} say
 * @property {() => void} leaving  before another photo takes the place of this one
 * @property {() => void} arrived  a photo can be seen
 */

import { EMPTY } from "../core/document.js";
import { begin, current } from "../core/history.js";
import { ApiError } from "../core/protocol.js";
import { patchesOf } from "../core/state.js";
import { API } from "../net/api.js";
import { newKey } from "../net/jobs.js";

const SAVE_AFTER_MS = 300;
const HERE = "lama-server.session";
const PREVIEW_PX = 4096;
/** Phones that do not say how much memory they have get previews of photos larger than this. */
const SMALL_MEMORY_PIXELS = 16_000_000;

/** @typedef {ReturnType<typeof createSession>} SessionKeeper */

/** @param {Ports} ports */
export function createSession(ports) {
  const { store, api, uploads, bitmaps, persistence } = ports;
  /** @type {Map<string, Blob>} originals of the photos opened in this window */
  const originals = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let saving;
  let writing = 0;
  let opened = 0;

  /** @param {Promise<unknown>} write */
  const written = async (write) => {
    writing += 1;
    await write.catch((error) => ports.complain(error, null)).finally(() => writing--);
  };
  const flush = async () => {
    clearTimeout(saving);
    saving = undefined;
    const { image, timeline, results } = store.get();
    if (image) await written(persistence.save({ key: image.key, savedAt: Date.now(), image, timeline, results }));
  };
  const saveSoon = () => {
    clearTimeout(saving);
    saving = setTimeout(flush, SAVE_AFTER_MS);
  };
  store.watch((state) => state.timeline, saveSoon, false);
  store.watch((state) => state.results, saveSoon, false);
  store.watch((state) => state.image, saveSoon, false);
  addEventListener("pagehide", () => void flush());
  addEventListener("visibilitychange", () => document.hidden && void flush());

  /** @param {OpenImage} image @param {Partial<Session>} [from] */
  const enter = (image, from) => {
    rememberHere(image.key);
    store.update({
      image,
      opening: "",
      timeline: from?.timeline ?? begin(EMPTY),
      results: from?.results ?? {},
      selected: null,
      crosshair: null,
      penDown: false,
      compare: { mode: "off", at: 0.5 },
    });
    ports.arrived();
  };

  /** @param {string} key @param {Blob} blob @param {string} name */
  const upload = async (key, blob, name) => {
    const info = await uploads.ensure(key, blob, name);
    const { image } = store.get();
    if (image?.key === key && image.id !== info.id) store.update({ image: { ...image, id: info.id } });
    return info;
  };

  /** Fills the pyramid with what the server makes of the file. @param {ImageInfo} info */
  const showPreview = async (info) => {
    await bitmaps.open(await api.blob(`${API}/images/${info.id}/preview?max=${PREVIEW_PX}`));
  };

  /**
   * @param {string} key @param {Blob} blob @param {string} name
   * @returns {Promise<{width: number, height: number, id: string | null, asPreview: boolean}>} after the photo can be drawn
   */
  const decode = async (key, blob, name) => {
    const sent = upload(key, blob, name);
    sent.catch(() => {}); // whoever needs the photo on the server asks again, and is told then
    if (smallMemory()) {
      const info = await sent;
      if (info.width * info.height > SMALL_MEMORY_PIXELS) {
        await showPreview(info);
        return { ...info, asPreview: true };
      }
    }
    try {
      const { width, height } = await bitmaps.open(blob);
      return { width, height, id: null, asPreview: false };
    } catch {
      const info = await sent; // a format this browser does not know; perhaps the server does
      await showPreview(info);
      return { ...info, asPreview: true };
    }
  };

  /** Shows what the server sees if the browser sees something else. @param {string} key @param {Blob} blob @param {string} name */
  const settle = async (key, blob, name) => {
    const info = await upload(key, blob, name);
    const { image } = store.get();
    if (image?.key !== key) return;
    if (info.browsers_agree && image.width === info.width && image.height === info.height) return;
    await showPreview(info);
    store.update({ image: { ...image, width: info.width, height: info.height, asPreview: true } });
    ports.arrived();
  };

  /** @param {Blob} blob @param {string} name @param {string} key */
  const open = async (blob, name, key) => {
    opened += 1;
    const turn = opened;
    await leave();
    store.update({ opening: "reading", openingName: name });
    ports.say(`Opening ${name}`);
    originals.set(key, blob);
    try {
      const size = await decode(key, blob, name);
      if (turn !== opened) return;
      const { width, height, id, asPreview } = size;
      enter({ key, name, bytes: blob.size, width, height, id, asPreview });
      ports.say(`${name} is open, ${width} by ${height} pixels.`);
      await persistence.saveBlob(key, "original", blob);
      if (!asPreview) await settle(key, blob, name);
    } catch (error) {
      if (turn === opened) refuse(error, blob, name, key);
    }
  };

  /** @param {unknown} error @param {Blob} blob @param {string} name @param {string} key */
  const refuse = (error, blob, name, key) => {
    const unreachable = error instanceof ApiError && error.code === "page.unreachable";
    const shown = store.get().image?.key === key;
    if (!shown) store.update({ opening: "" });
    if (unreachable && shown) return; // the next fill brings the photo over
    if (shown) void close();
    ports.complain(error, unreachable ? () => void open(blob, name, key) : null);
  };

  const leave = async () => {
    if (!store.get().image) return;
    await flush();
    ports.leaving();
    bitmaps.clear();
    store.update({ image: null, timeline: begin(EMPTY), results: {}, selected: null });
  };

  const close = async () => {
    await leave();
    rememberHere("");
  };

  /** @param {Session} session @param {Blob | undefined} blob */
  const reopen = async (session, blob) => {
    opened += 1;
    const { image } = session;
    store.update({ opening: "reading", openingName: image.name });
    if (blob) {
      originals.set(image.key, blob);
      if (image.id) uploads.remember(image.key, infoOf(image, image.id));
      const fromServer = async () => showPreview(await upload(image.key, blob, image.name));
      await (image.asPreview ? fromServer().catch(() => bitmaps.open(blob)) : bitmaps.open(blob).catch(fromServer));
    } else if (image.id) {
      await showPreview(infoOf(image, image.id));
    }
    await restorePatches(session);
    enter(image, session);
    store.update({ gallery: { at: 0, items: [{ key: image.key, name: image.name }] } });
  };

  /** @param {Session} session */
  const restorePatches = async (session) => {
    const shown = new Set(current(session.timeline).edits.map((edit) => edit.chosen));
    const restored = Object.values(session.results)
      .flat()
      .flatMap((result) =>
        patchesOf(result).map(async ({ name, url }) => {
          const blob = (await persistence.loadBlob(session.image.key, name)) ?? (await api.blob(url));
          const ready = bitmaps.addPatch(name, blob);
          if (shown.has(result.edit)) await ready;
        }),
      );
    await Promise.all(restored);
  };

  return {
    flush,
    close,

    /** The first file opens, the others wait in the list. @param {readonly File[]} files */
    async openFiles(files) {
      const items = files.map((file) => ({ key: newKey(), name: file.name || "pasted.png" }));
      for (const [i, file] of files.entries()) originals.set(items[i].key, file);
      const before = store.get().gallery.items;
      store.update({ gallery: { at: before.length, items: [...before, ...items] } });
      await open(files[0], items[0].name, items[0].key);
    },

    /** Another photo of the list. @param {number} at */
    async switchTo(at) {
      const item = store.get().gallery.items[at];
      const blob = item && originals.get(item.key);
      if (!blob) return;
      store.update((state) => ({ gallery: { ...state.gallery, at } }));
      await leave();
      const session = await persistence.load(item.key);
      if (session) {
        const { gallery } = store.get();
        await reopen(session, blob);
        store.update({ gallery });
      } else {
        await open(blob, item.name, item.key);
      }
    },

    /** The photo given by --input, which the server has and this browser has not. @param {string} id */
    async openFromServer(id) {
      const info = /** @type {ImageInfo} */ (await api.json(`${API}/images/${encodeURIComponent(id)}`));
      const key = newKey();
      store.update({ opening: "reading", openingName: info.name });
      uploads.remember(key, info);
      await showPreview(info);
      enter({ key, name: info.name, bytes: 0, width: info.width, height: info.height, id: info.id, asPreview: true });
      store.update({ gallery: { at: 0, items: [{ key, name: info.name }] } });
    },

    /** After a reload. @returns {Promise<boolean>} whether something was brought back */
    async restoreHere() {
      const key = recallHere();
      if (!key) return false;
      const session = await persistence.load(key);
      if (!session) return false;
      if (!(await openElsewhere(key))) {
        await reopen(session, await persistence.loadBlob(key, "original"));
        return true;
      }
      const own = newKey();
      await persistence.copy(key, own);
      const copy = await persistence.load(own);
      if (!copy) return false;
      await reopen(copy, await persistence.loadBlob(own, "original"));
      return true;
    },

    /** The newest session of this browser, for the empty page. */
    async last() {
      const [newest] = await persistence.list();
      return newest ?? null;
    },

    /** @param {Session} session @returns {Promise<string>} URL of a small picture; "" when there is none */
    async pictureOf({ key }) {
      const blob = await persistence.loadBlob(key, "original");
      return blob ? bitmaps.thumbnail(`session ${key}`, blob).catch(() => "") : "";
    },

    /** @param {Session} session */
    continue: async (session) => reopen(session, await persistence.loadBlob(session.key, "original")),

    /** @param {string} name @param {Blob} png */
    async keepPatch(name, png) {
      await bitmaps.addPatch(name, png);
      const { image } = store.get();
      if (image) void written(persistence.saveBlob(image.key, name, png));
    },

    /** Everything is kept in this browser, for tests. */
    kept: () => saving === undefined && writing === 0,

    /** The server's name for the open photo, which is sent if it is not there yet. */
    async imageId() {
      const { image } = store.get();
      if (!image) throw new ApiError({ code: "image.empty", title: "No photo is open" });
      const blob = originals.get(image.key);
      if (!blob && image.id) return image.id;
      if (!blob)
        throw new ApiError({ code: "image.not_found", title: "The photo is gone", detail: "Open the file again." });
      return (await upload(image.key, blob, image.name)).id;
    },

    imageLost() {
      const { image } = store.get();
      if (image) uploads.remember(image.key);
    },
  };
}

/** What the server said about a photo when it was sent. @param {OpenImage} image @param {string} id @returns {ImageInfo} */
const infoOf = ({ name, width, height, asPreview }, id) => ({
  id,
  name,
  width,
  height,
  format: "",
  browsers_agree: !asPreview,
});

function smallMemory() {
  const memory = /** @type {{deviceMemory?: number}} */ (navigator).deviceMemory;
  return memory === undefined ? matchMedia("(pointer: coarse)").matches : memory <= 2;
}

/** @param {string} key */
function rememberHere(key) {
  claimed = key;
  try {
    sessionStorage.setItem(HERE, key);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}

function recallHere() {
  try {
    return sessionStorage.getItem(HERE);
  } catch (error) {
    if (error instanceof DOMException) return null;
    throw error;
  }
}

/** A duplicated tab has the same memory: asks the others who has the session open. @type {BroadcastChannel} */
const channel = new BroadcastChannel("lama-server");
channel.addEventListener("message", ({ data }) => {
  if (data.ask && data.ask === claimed) channel.postMessage({ taken: data.ask });
});
let claimed = "";

/** @param {string} key @returns {Promise<boolean>} */
function openElsewhere(key) {
  return new Promise((resolve) => {
    const listen = (/** @type {MessageEvent} */ { data }) => {
      if (data.taken === key) done(true);
    };
    const done = (/** @type {boolean} */ taken) => {
      channel.removeEventListener("message", listen);
      if (!taken) claimed = key;
      resolve(taken);
    };
    channel.addEventListener("message", listen);
    channel.postMessage({ ask: key });
    setTimeout(() => done(false), 100);
  });
}
