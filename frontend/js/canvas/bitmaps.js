/**
 * The only owner of pixels: the open photo's pyramid, the patches, the thumbnails and the URLs made for them.
 *
 * @typedef {import("./decode.worker.js").Pyramid} Pyramid
 * @typedef {import("./decode.worker.js").Task} Task
 * @typedef {import("./composite.js").Placed} Placed
 * @typedef {import("./patches.js").Pixels} Pixels
 * @typedef {import("../core/view.js").Box} Box
 * @typedef {{job: number, began: number, box: Box, pixels: Pixels}} Estimate  what a running fill has so far; began: when its first came
 */

import { createPatches } from "./patches.js";

const MOST_PATCH_BYTES = 256 * 2 ** 20;
const THUMBNAIL_PX = 192;
/** An estimate is seen until what takes its place has faded in, on any machine. */
const FADED_MS = 600;

/** @typedef {ReturnType<typeof createBitmaps>} Bitmaps */

/** @param {() => void} changed called when a patch can be drawn that could not be before */
export function createBitmaps(changed) {
  const ask = workerClient();
  const decode = async (/** @type {Blob} */ blob) => /** @type {ImageBitmap} */ (await ask({ kind: "bitmap", blob }));
  const budgetBytes = Math.min(MOST_PATCH_BYTES, memoryBytes() / 32);
  const patches = createPatches(decode, budgetBytes, changed);
  /** @type {ReturnType<typeof import("./composite.js").createComposite> | null} for more patches than there is room for */
  let composite = null;
  const loadComposite = async () => {
    const { createComposite } = await import("./composite.js");
    composite ??= createComposite(patches, decode, budgetBytes, changed);
    changed();
  };
  /** @type {Pyramid | null} */
  let pyramid = null;
  /** @type {readonly Estimate[]} */
  let estimates = [];
  /** Jobs whose estimates are wanted no more. @type {Set<number>} */
  const estimated = new Set();
  /** @type {Map<string, string>} */
  const urls = new Map();

  const close = (/** @type {Pyramid} */ { levels }) => {
    for (const level of levels) for (const tile of level.tiles) tile.bitmap.close();
  };

  /** @param {(estimate: Estimate) => boolean} gone */
  const removeEstimates = (gone) => {
    const removed = estimates.filter(gone);
    if (removed.length === 0) return;
    for (const { pixels } of removed) pixels.bitmap.close();
    estimates = estimates.filter((each) => !removed.includes(each));
    changed();
  };

  /** With the estimates of fills that have ended, under what came of them. @param {readonly import("./image-layer.js").ShownPatch[]} drawn */
  const overEstimates = (drawn) => {
    const all = [...drawn];
    for (const ended of estimates.filter(({ pixels }) => pixels.until)) {
      const at = all.findIndex(({ pixels }) => pixels && pixels.since >= ended.began);
      all.splice(at < 0 ? all.length : at, 0, ended);
    }
    return all;
  };

  return {
    pyramid: () => pyramid,
    /** Of fills that run. */
    estimates: () => estimates.filter(({ pixels }) => !pixels.until),

    /**
     * How edits are drawn: what takes the place of tiles of the photo, and what lies over them. Only what lies on the
     * photo, and under nothing that reaches beyond it, can become part of its tiles.
     * @param {readonly Placed[]} placed patches in drawing order @param {Box} photo where it lies on the canvas
     */
    layers(placed, photo) {
      const first = placed.findIndex(({ box }) => !covers(photo, box));
      const beyond = first < 0 ? [] : placed.slice(first);
      const shown = moved(first < 0 ? placed : placed.slice(0, first), -photo.x, -photo.y);
      const many = bytesOf(shown) > budgetBytes;
      if (!composite && many) void loadComposite();
      const here = many ? shown.filter(({ name }) => patches.peek(name)) : shown;
      const layers = composite && pyramid ? composite.layers(shown, pyramid, photo) : { tiles: null, patches: here };
      const over = [...moved(layers.patches, photo.x, photo.y), ...beyond];
      patches.hold(new Set(over.map(({ name }) => name)));
      const drawn = over.map(({ name, box }) => ({ box, pixels: patches.take(name) }));
      return { tiles: layers.tiles, patches: overEstimates(drawn) };
    },

    /** Over those before it, of which it hides what it covers once it has faded in. @param {number} job @param {Blob} blob @param {Box} box */
    async addEstimate(job, blob, box) {
      const bitmap = /** @type {ImageBitmap} */ (await ask({ kind: "bitmap", blob }));
      if (estimated.has(job)) return bitmap.close(); // its fill has ended meanwhile
      const since = performance.now();
      const hides = estimates.filter(({ pixels }) => since - pixels.since > FADED_MS);
      removeEstimates((each) =>
        hides.some((other) => other !== each && covers(other.box, each.box) && other.pixels.since > each.pixels.since),
      );
      const began = estimates.find((each) => each.job === job)?.began ?? since;
      estimates = [...estimates, { job, began, box, pixels: { bitmap, since } }];
      changed();
    },

    /** A job needs none any more: they fade away. @param {number} job */
    clearEstimates(job) {
      estimated.add(job);
      const until = performance.now();
      const mine = (/** @type {Estimate} */ each) => each.job === job && !each.pixels.until;
      if (!estimates.some(mine)) return;
      estimates = estimates.map((each) => (mine(each) ? { ...each, pixels: { ...each.pixels, until } } : each));
      setTimeout(() => removeEstimates((each) => each.job === job), FADED_MS);
      changed();
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
      patches.keep(name, encoded);
      return patches.ready(name);
    },

    /** Patches of a photo that is opened: decoded where there is room for all of them, and where they are shown. @param {readonly Placed[]} shown in drawing order @param {ReadonlyMap<string, Blob>} blobs by name */
    async addPatches(shown, blobs) {
      for (const [name, blob] of blobs) patches.keep(name, blob);
      if (bytesOf(shown) <= budgetBytes) await Promise.all(shown.map(({ name }) => patches.ready(name)));
    },

    /** Patches of an edit that there will not be. @param {readonly string[]} names */
    dropPatches(names) {
      patches.drop(names);
      if (names.length > 0) changed();
    },

    /** Resolves when a patch can be drawn, decoding it again if need be. */
    ready: patches.ready,
    /** What to draw, or null while it is being decoded. */
    patch: patches.take,

    /** A small picture of a patch, or of any blob by a name of its own. @param {string} name @param {Blob} [blob] @returns {Promise<string>} an object URL */
    async thumbnail(name, blob = patches.encoded(name)) {
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
      composite?.clear();
      patches.drop(patches.names().filter((name) => !kept.has(name)));
      removeEstimates(() => true);
      for (const name of [...urls.keys()]) this.release(name);
      changed();
    },

    /** How often a patch was decoded, for tests. */
    decodes: patches.decodes,
    /** What is held now, for tests. */
    counts: () => ({
      ...patches.counts(),
      urls: urls.size,
      estimates: estimates.length,
      tiles: pyramid?.levels.reduce((sum, level) => sum + level.tiles.length, 0) ?? 0,
    }),
  };
}

/** What this device has, as far as it says. */
function memoryBytes() {
  const { deviceMemory = 8 } = /** @type {{deviceMemory?: number}} */ (navigator);
  return deviceMemory * 2 ** 30;
}

/** @param {readonly Placed[]} placed @returns {number} decoded */
const bytesOf = (placed) => placed.reduce((sum, { box }) => sum + 4 * box.width * box.height, 0);

/** @param {readonly Placed[]} placed @param {number} dx @param {number} dy */
const moved = (placed, dx, dy) =>
  dx || dy ? placed.map(({ name, box }) => ({ name, box: { ...box, x: box.x + dx, y: box.y + dy } })) : placed;

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
