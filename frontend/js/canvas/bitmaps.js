/**
 * The only owner of pixels: the open photo's pyramid, the patches, the thumbnails and the URLs made for them.
 *
 * Encoded patches stay (they are small); decoded ones are dropped, least recently drawn first, once they take more
 * than the budget, and are decoded again when they are needed.
 *
 * @typedef {import("./decode.worker.js").Pyramid} Pyramid
 * @typedef {import("./decode.worker.js").Task} Task
 * @typedef {import("../core/view.js").Box} Box
 * @typedef {{encoded: Blob, bitmap: ImageBitmap | null, decoding: Promise<void> | null, since: number}} Patch
 * @typedef {{job: number, box: Box, pixels: {bitmap: ImageBitmap, since: number}}} Estimate  what a running fill has so far
 */

const PATCH_BUDGET_BYTES = 256 * 2 ** 20;
const THUMBNAIL_PX = 192;

/** @typedef {ReturnType<typeof createBitmaps>} Bitmaps */

/** @param {() => void} changed called when a patch can be drawn that could not be before */
export function createBitmaps(changed) {
  const ask = workerClient();
  /** @type {Pyramid | null} */
  let pyramid = null;
  /** @type {Map<string, Patch>} by name, least recently drawn first */
  const patches = new Map();
  /** @type {readonly Estimate[]} */
  let estimates = [];
  /** Jobs whose estimates are wanted no more. @type {Set<number>} */
  const estimated = new Set();
  /** @type {Map<string, string>} */
  const urls = new Map();

  const close = (/** @type {Pyramid} */ { levels }) => {
    for (const level of levels) for (const tile of level.tiles) tile.bitmap.close();
  };

  const trim = () => {
    let bytes = 0;
    for (const { bitmap } of patches.values()) bytes += bitmap ? bitmap.width * bitmap.height * 4 : 0;
    for (const patch of patches.values()) {
      if (bytes <= PATCH_BUDGET_BYTES) return;
      if (!patch.bitmap) continue;
      bytes -= patch.bitmap.width * patch.bitmap.height * 4;
      patch.bitmap.close();
      patch.bitmap = null;
    }
  };

  /** @param {Patch} patch */
  const decode = async (patch) => {
    patch.bitmap = /** @type {ImageBitmap} */ (await ask({ kind: "bitmap", blob: patch.encoded }));
    patch.since = performance.now();
    patch.decoding = null;
    trim();
    changed();
  };

  /** @param {(estimate: Estimate) => boolean} gone */
  const removeEstimates = (gone) => {
    const removed = estimates.filter(gone);
    if (removed.length === 0) return;
    for (const { pixels } of removed) pixels.bitmap.close();
    estimates = estimates.filter((each) => !removed.includes(each));
    changed();
  };

  return {
    pyramid: () => pyramid,
    estimates: () => estimates,

    /** Over those before it, of which it replaces what it covers. @param {number} job @param {Blob} blob @param {Box} box */
    async addEstimate(job, blob, box) {
      const bitmap = /** @type {ImageBitmap} */ (await ask({ kind: "bitmap", blob }));
      if (estimated.has(job)) return bitmap.close(); // its fill has ended meanwhile
      removeEstimates((each) => covers(box, each.box));
      estimates = [...estimates, { job, box, pixels: { bitmap, since: performance.now() } }];
      changed();
    },

    /** A job needs none any more. @param {number} job */
    clearEstimates(job) {
      estimated.add(job);
      removeEstimates((each) => each.job === job);
    },

    /** A photo's pixels, not shown yet; rejects when the browser cannot read the format. @param {Blob} blob @returns {Promise<Pyramid>} */
    read: async (blob) => /** @type {Pyramid} */ (await ask({ kind: "pyramid", blob })),

    /** Takes the place of the open photo's pixels. @param {Pyramid} read */
    show(read) {
      if (pyramid) close(pyramid);
      pyramid = read;
      changed();
    },

    /** Lets go of pixels that will not be shown. @param {Pyramid} read */
    discard: (read) => close(read),

    /** @param {string} name @param {Blob} encoded @returns {Promise<void>} done when it can be drawn */
    addPatch(name, encoded) {
      const known = patches.get(name);
      if (known) return known.decoding ?? Promise.resolve();
      /** @type {Patch} */
      const patch = { encoded, bitmap: null, decoding: null, since: 0 };
      patches.set(name, patch);
      patch.decoding = decode(patch);
      return patch.decoding;
    },

    /** Patches of an edit that there will not be. @param {readonly string[]} names */
    dropPatches(names) {
      for (const name of names) {
        patches.get(name)?.bitmap?.close();
        patches.delete(name);
      }
      if (names.length > 0) changed();
    },

    /** Resolves when a patch can be drawn, decoding it again if need be. @param {string} name */
    async ready(name) {
      const patch = patches.get(name);
      if (!patch || patch.bitmap) return;
      patch.decoding ??= decode(patch);
      await patch.decoding;
    },

    /** What to draw, or null while it is being decoded. @param {string} name @returns {{bitmap: ImageBitmap, since: number} | null} */
    patch(name) {
      const patch = patches.get(name);
      if (!patch) return null;
      patches.delete(name);
      patches.set(name, patch);
      if (!patch.bitmap) {
        patch.decoding ??= decode(patch);
        return null;
      }
      return { bitmap: patch.bitmap, since: patch.since };
    },

    /** A small picture of a patch, or of any blob by a name of its own. @param {string} name @param {Blob} [blob] @returns {Promise<string>} an object URL */
    async thumbnail(name, blob = patches.get(name)?.encoded) {
      const known = urls.get(name);
      if (known) return known;
      if (!blob) return "";
      const small = /** @type {Blob} */ (await ask({ kind: "thumbnail", blob, size: THUMBNAIL_PX }));
      const url = urls.get(name) ?? URL.createObjectURL(small);
      urls.set(name, url);
      return url;
    },

    /** @param {Blob} blob @param {string} name */
    url(blob, name) {
      this.release(name);
      const url = URL.createObjectURL(blob);
      urls.set(name, url);
      return url;
    },

    /** @param {string} name */
    release(name) {
      const url = urls.get(name);
      if (url) URL.revokeObjectURL(url);
      urls.delete(name);
    },

    /** Forgets the photo and everything that belongs to it, but for patches of the next one. @param {ReadonlySet<string>} [kept] */
    clear(kept = new Set()) {
      if (pyramid) close(pyramid);
      pyramid = null;
      for (const [name, { bitmap }] of patches) {
        if (kept.has(name)) continue;
        bitmap?.close();
        patches.delete(name);
      }
      removeEstimates(() => true);
      for (const name of [...urls.keys()]) this.release(name);
      changed();
    },

    /** What is held now, for tests. */
    counts: () => ({
      patches: patches.size,
      decoded: [...patches.values()].filter((patch) => patch.bitmap).length,
      urls: urls.size,
      tiles: pyramid?.levels.reduce((sum, level) => sum + level.tiles.length, 0) ?? 0,
    }),
  };
}

/** @param {Box} outer @param {Box} inner */
const covers = (outer, inner) =>
  outer.x <= inner.x &&
  outer.y <= inner.y &&
  outer.x + outer.width >= inner.x + inner.width &&
  outer.y + outer.height >= inner.y + inner.height;

/** @returns {(task: Task) => Promise<unknown>} */
function workerClient() {
  const worker = new Worker(new URL("./decode.worker.js", import.meta.url), { type: "module" });
  /** @type {Map<number, {resolve: (value: unknown) => void, reject: (error: Error) => void}>} */
  const waiting = new Map();
  let asked = 0;
  worker.addEventListener("message", ({ data }) => {
    const answer = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.failure) answer?.reject(new Error(data.failure));
    else answer?.resolve(data.value);
  });
  return (task) =>
    new Promise((resolve, reject) => {
      asked += 1;
      waiting.set(asked, { resolve, reject });
      worker.postMessage({ id: asked, task });
    });
}
