/**
 * Opens photos one at a time, with the work that was done on them.
 *
 * A photo that is open stays until the next one can be drawn. Opening takes time, and whoever opens another photo
 * meanwhile wins: each opening has a turn, and an older one is thrown away when it is ready.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/state.js").OpenImage} OpenImage
 * @typedef {import("../core/protocol.js").ImageInfo} ImageInfo
 * @typedef {import("./persist.js").Session} Session
 * @typedef {import("./here.js").Item} Item
 * @typedef {import("./reader.js").Read} Read
 * @typedef {object} Ports
 * @property {import("../core/store.js").Store<State>} store
 * @property {import("../net/api.js").Api} api
 * @property {import("../net/uploads.js").Uploads} uploads
 * @property {import("../canvas/bitmaps.js").Bitmaps} bitmaps
 * @property {import("./persist.js").Persistence} persistence
 * @property {(error: unknown, retry: (() => void) | null) => void} complain
 * @property {(words: string) => void} say
 * @property {() => void} leaving  before another photo takes the place of this one
 * @property {() => void} arrived  another photo can be seen, or the same one at another size
 */

import { EMPTY, newKey } from "../core/document.js";
import { begin, current } from "../core/history.js";
import { ApiError } from "../core/protocol.js";
import { patchesOf } from "../core/state.js";
import { API } from "../net/api.js";
import { openElsewhere, rememberPhotos, rememberSession } from "./here.js";
import { createKeeper } from "./keeper.js";
import { createReader } from "./reader.js";

/** Photos of a list that were not opened yet are kept up to this size. */
const KEPT_AHEAD_BYTES = 512 * 2 ** 20;

/** @typedef {ReturnType<typeof createSession>} SessionKeeper */

/** @param {Ports} ports */
export function createSession(ports) {
  const { store, api, uploads, bitmaps, persistence } = ports;
  const reader = createReader(api, bitmaps);
  const keeper = createKeeper(store, persistence, (error) => ports.complain(error, null));
  /** @type {Map<string, Blob>} originals of the photos in the list */
  const originals = new Map();
  let turns = 0;

  store.watch((state) => state.gallery, rememberPhotos, false);

  /** @param {string} name @returns {() => boolean} whether this opening is still the latest */
  const beginTurn = (name) => {
    turns += 1;
    const turn = turns;
    store.update({ opening: "reading", openingName: name });
    return () => turn === turns;
  };

  /** @param {string} key @returns {Promise<Blob | undefined>} */
  const originalOf = async (key) =>
    originals.get(key) ?? (await persistence.loadBlob(key, "original")) ?? takeIn(itemOf(key));

  /** @param {string} key */
  const itemOf = (key) => store.get().gallery.items.find((item) => item.key === key);

  /** A photo of the server's folder. @param {Item | undefined} item @returns {Promise<Blob | undefined>} undefined: it is none */
  const takeIn = async (item) => {
    if (!item?.version) return undefined;
    const info = /** @type {ImageInfo} */ (await (await api.post(`${API}/photos`, { name: item.name })).json());
    uploads.remember(item.key, info);
    return api.blob(`${API}/images/${info.id}/original`);
  };

  /** @param {string} key @param {Blob} blob @param {string} name */
  const upload = async (key, blob, name) => {
    const info = await uploads.ensure(key, blob, name);
    const { image } = store.get();
    if (image?.key === key && image.id !== info.id) store.update({ image: { ...image, id: info.id } });
    return info;
  };

  /**
   * Another photo takes the place of the open one, at once.
   * @param {OpenImage} image @param {Read["pyramid"]} pyramid @param {Session | null} session
   * @param {ReadonlySet<string>} [patches] of the session, which bitmaps have already
   */
  const enter = (image, pyramid, session, patches) => {
    leave(patches);
    rememberSession(image.key);
    bitmaps.show(pyramid);
    store.update(({ gallery }) => ({
      image,
      opening: "",
      timeline: session?.timeline ?? begin(EMPTY),
      results: session?.results ?? {},
      gallery: { ...gallery, at: gallery.items.findIndex(({ key }) => key === image.key) },
    }));
    ports.arrived();
    const listed = new Set(store.get().gallery.items.map(({ key }) => key));
    void keeper.during(() => persistence.prune(async (key) => listed.has(key) || openElsewhere(key)));
  };

  /** @param {ReadonlySet<string>} [patches] of the photo that comes */
  const leave = (patches) => {
    bitmaps.clear(patches);
    if (!store.get().image) return;
    ports.leaving();
    keeper.flush();
    store.update({
      image: null,
      timeline: begin(EMPTY),
      results: {},
      selected: null,
      crosshair: null,
      penDown: false,
      compare: { mode: "off", at: 0.5 },
    });
    rememberSession("");
  };

  /** @param {Item} item @param {Blob} blob @returns {Promise<void>} */
  const open = async (item, blob) => {
    const { key, name } = item;
    const wanted = beginTurn(name);
    ports.say(`Opening ${name}`);
    originals.set(key, blob);
    const sent = upload(key, blob, name);
    sent.catch(() => {}); // whoever needs the photo on the server asks again, and is told then
    const before = store.get().image?.key;
    try {
      const { pyramid, ...read } = await reader.read(blob, () => sent);
      if (!wanted()) return bitmaps.discard(pyramid);
      const id = read.asPreview ? (await sent).id : null;
      enter({ key, name, bytes: blob.size, id, ...read }, pyramid, null);
      ports.say(`${name} is open, ${read.width} by ${read.height} pixels.`);
      if (!item.version) await keeper.keep(key, "original", blob);
      if (!read.asPreview) await settle(key, await sent);
    } catch (error) {
      await refuse(error, item, wanted, before);
    }
  };

  /** Shows what the server sees if the browser sees something else. @param {string} key @param {ImageInfo} info */
  const settle = async (key, info) => {
    const isOpen = () => store.get().image?.key === key;
    const { image } = store.get();
    if (!image || !isOpen()) return;
    if (info.browsers_agree && image.width === info.width && image.height === info.height) {
      if (image.id !== info.id) store.update({ image: { ...image, id: info.id } });
      return;
    }
    const { pyramid, ...read } = await reader.fromServer(info);
    if (!isOpen()) return bitmaps.discard(pyramid);
    bitmaps.show(pyramid);
    store.update({ image: { ...image, id: info.id, ...read } });
    ports.arrived();
  };

  /**
   * A photo that cannot be opened leaves the list, or is marked if it is the folder's; the one that was open before it stays, or comes back.
   * @param {unknown} error @param {Item} item @param {() => boolean} wanted @param {string | undefined} before
   */
  const refuse = async (error, item, wanted, before) => {
    const unreachable = error instanceof ApiError && error.code === "page.unreachable";
    const isOpen = store.get().image?.key === item.key;
    if (unreachable && isOpen) return; // the next fill brings the photo over
    const blob = originals.get(item.key);
    ports.complain(error, unreachable && blob ? () => void open(item, blob) : null);
    if (!unreachable) forget(item.key);
    if (isOpen) {
      leave();
      const at = store.get().gallery.items.findIndex(({ key }) => key === before);
      if (at >= 0) await switchTo(at);
    } else if (wanted()) store.update({ opening: "" });
  };

  /** @param {string} key of a photo that cannot be opened */
  const forget = (key) => {
    originals.delete(key);
    store.update(({ gallery, image }) => {
      const items = gallery.items.flatMap((item) =>
        item.key !== key ? item : item.version ? { ...item, broken: true } : [],
      );
      return { gallery: { items, at: items.findIndex((item) => item.key === image?.key) } };
    });
  };

  /** @param {Session} session @param {Blob | undefined} blob the original, unless only the server has it */
  const reopen = async (session, blob) => {
    const { image } = session;
    const wanted = beginTurn(image.name);
    if (blob) originals.set(image.key, blob);
    if (blob && image.id) uploads.remember(image.key, infoOf(image, image.id));
    const fromServer = async () =>
      reader.fromServer(blob ? await upload(image.key, blob, image.name) : infoOf(image, image.id ?? ""));
    try {
      const { pyramid } = await (blob && !image.asPreview
        ? bitmaps.read(blob).then((pyramid) => ({ pyramid }), fromServer)
        : fromServer());
      const patches = await restorePatches(session);
      if (!wanted()) return bitmaps.discard(pyramid);
      enter(image, pyramid, session, patches);
    } finally {
      if (wanted()) store.update({ opening: "" });
    }
  };

  /** Brings patches to where they can be drawn. @param {Session} session @returns {Promise<Set<string>>} their names */
  const restorePatches = async (session) => {
    const shown = new Set(current(session.timeline).edits.map((edit) => edit.chosen));
    const results = Object.values(session.results).flat();
    const names = results.flatMap((result) =>
      patchesOf(result).map(async ({ name, url }) => {
        const blob = (await persistence.loadBlob(session.image.key, name)) ?? (await api.blob(url));
        const ready = bitmaps.addPatch(name, blob);
        if (shown.has(result.edit)) await ready;
        return name;
      }),
    );
    return new Set(await Promise.all(names));
  };

  /** Another photo of the list. @param {number} at */
  const switchTo = async (at) => {
    const item = store.get().gallery.items[at];
    if (!item || item.key === store.get().image?.key) return;
    keeper.flush();
    const wanted = beginTurn(item.name);
    try {
      const [session, blob] = [await persistence.load(item.key), await originalOf(item.key)];
      if (!wanted()) return;
      if (session) await reopen(session, blob);
      else if (blob) await open(item, blob);
      else throw new ApiError({ code: "image.not_found", title: "The photo is gone", detail: "Open the file again." });
    } catch (error) {
      if (item.version) return refuse(error, item, wanted, undefined);
      if (wanted()) store.update({ opening: "" });
      throw error;
    }
  };

  /** Adds to the list; a reload finds them there. @param {readonly {item: Item, file: Blob}[]} photos */
  const list = (photos) => {
    store.update(({ gallery }) => ({
      gallery: { ...gallery, items: [...gallery.items, ...photos.map((p) => p.item)] },
    }));
    for (const { item, file } of photos) originals.set(item.key, file);
    let room = KEPT_AHEAD_BYTES; // of a large folder the rest is kept once it is opened
    const ahead = photos.slice(1).filter(({ file }) => {
      room -= file.size;
      return room >= 0;
    });
    void (async () => {
      for (const { item, file } of ahead) await keeper.keep(item.key, "original", file);
    })();
  };

  return {
    switchTo,

    /** The first file that can be opened is, the others wait in the list. @param {readonly File[]} files */
    async openFiles(files) {
      const photos = files.map((file) => ({ item: { key: newKey(), name: file.name || "pasted.png" }, file }));
      list(photos);
      for (const { item, file } of photos) {
        await open(item, file);
        if (store.get().gallery.items.some(({ key }) => key === item.key)) return;
      }
    },

    /** What is needed to bring work back. */
    work: { open, reopen, list, originalOf },

    /** @param {string} name @param {Blob} png of a patch of the open photo */
    async keepPatch(name, png) {
      await bitmaps.addPatch(name, png);
      const { image } = store.get();
      if (image) void keeper.keep(image.key, name, png);
    },

    /** Everything is kept in this browser, for tests. */
    kept: keeper.quiet,

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
