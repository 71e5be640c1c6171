/**
 * Writes the open session shortly after every change, and its files once each; tells when all of it is written.
 *
 * @typedef {import("./persist.js").Persistence} Persistence
 */

const SAVE_AFTER_MS = 300;

/** @typedef {ReturnType<typeof createKeeper>} Keeper */

/**
 * @param {import("../core/store.js").Store<import("../core/state.js").State>} store
 * @param {Persistence} persistence @param {(error: unknown) => void} failed
 */
export function createKeeper(store, persistence, failed) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let saving;
  let writing = 0;

  /** @param {Promise<unknown>} write */
  const written = async (write) => {
    writing += 1;
    await write.catch(failed).finally(() => writing--);
  };

  const flush = () => {
    clearTimeout(saving);
    saving = undefined;
    const { image, timeline, results } = store.get();
    if (image) void written(persistence.save({ key: image.key, savedAt: Date.now(), image, timeline, results }));
  };
  const saveSoon = () => {
    clearTimeout(saving);
    saving = setTimeout(flush, SAVE_AFTER_MS);
  };
  store.watch((state) => state.timeline, saveSoon, false);
  store.watch((state) => state.results, saveSoon, false);
  store.watch((state) => state.image, saveSoon, false);
  addEventListener("pagehide", flush);
  addEventListener("visibilitychange", () => document.hidden && flush());

  return {
    flush,
    /** @param {string} key of a session @param {string} name @param {Blob} blob */
    keep: (key, name, blob) => written(persistence.saveBlob(key, name, blob)),
    /** @param {() => Promise<unknown>} work */
    during: (work) => written(work()),
    /** Everything is written. */
    quiet: () => saving === undefined && writing === 0,
  };
}
