/**
 * The list of photos and the one of them that is open, with the work that was done on it.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("./here.js").Item} Item
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

import { newKey } from "../core/document.js";
import { rememberPhotos } from "./here.js";
import { createKeeper } from "./keeper.js";
import { createOpening } from "./opening.js";
import { createOriginals } from "./originals.js";
import { createPlace } from "./place.js";

/** Photos of a list that were not opened yet are kept up to this size. */
const KEPT_AHEAD_BYTES = 512 * 2 ** 20;

/** @typedef {ReturnType<typeof createSession>} SessionKeeper */

/** @param {Ports} ports */
export function createSession(ports) {
  const { store, bitmaps, persistence } = ports;
  const keeper = createKeeper(store, persistence, (error) => ports.complain(error, null));
  const originals = createOriginals(ports);
  const place = createPlace(ports, keeper);

  store.watch((state) => state.gallery, rememberPhotos, false);

  /** Another photo of the list. @param {number} at */
  const switchTo = async (at) => {
    const item = store.get().gallery.items[at];
    if (!item || item.key === store.get().image?.key) return;
    keeper.flush();
    await (await reopening()).bring(item);
  };

  /** A photo that cannot be opened leaves the list, or is marked if it is the folder's. @param {string} key */
  const unlist = (key) => {
    originals.forget(key);
    store.update(({ gallery, image }) => {
      const items = gallery.items.flatMap((item) =>
        item.key !== key ? item : item.version ? { ...item, broken: true } : [],
      );
      return { gallery: { items, at: items.findIndex((item) => item.key === image?.key) } };
    });
  };

  const opening = createOpening(ports, {
    originals,
    place,
    keeper,
    unlist,
    back: (key) => switchTo(store.get().gallery.items.findIndex((item) => item.key === key)),
  });

  const reopening = async () => {
    const { createReopening } = await import("./reopening.js");
    return createReopening(ports, { originals, place }, opening);
  };

  /** Adds to the list; a reload finds them there. @param {readonly {item: Item, file: Blob}[]} photos */
  const list = (photos) => {
    store.update(({ gallery }) => ({
      gallery: { ...gallery, items: [...gallery.items, ...photos.map((p) => p.item)] },
    }));
    for (const { item, file } of photos) originals.keep(item.key, file);
    void (async () => {
      let room = KEPT_AHEAD_BYTES; // of a large folder the rest is kept once it is opened
      for (const { item, file } of photos.slice(1)) {
        room -= file.size;
        if (room >= 0) await keeper.keep(item.key, "original", file);
      }
    })();
  };

  return {
    switchTo,

    /** The first file that can be opened is, the others wait in the list. @param {readonly File[]} files */
    async openFiles(files) {
      const photos = files.map((file) => ({ item: { key: newKey(), name: file.name || "pasted.png" }, file }));
      list(photos);
      for (const { item, file } of photos) {
        await opening.open(item, file);
        if (store.get().gallery.items.some(({ key }) => key === item.key)) return;
      }
    },

    /** What is needed to bring work back. */
    work: { open: opening.open, reopening, list, originalOf: originals.find },

    /** @param {string} name @param {Blob} png of a patch of the open photo */
    async keepPatch(name, png) {
      await bitmaps.addPatch(name, png);
      const { image } = store.get();
      if (image) void keeper.keep(image.key, name, png);
    },

    /** Everything is kept in this browser, for tests. */
    kept: keeper.quiet,
    imageId: originals.imageId,
    imageLost: originals.imageLost,
  };
}
