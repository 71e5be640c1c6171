/**
 * Patches of edits: encoded ones stay (they are small); decoded ones are dropped, least recently drawn first, once they
 * take more than the budget, and are decoded again when they are needed. What is in sight is never dropped.
 *
 * @typedef {{bitmap: ImageBitmap, since: number, until?: number}} Pixels  since, until: when they could be drawn first, and are wanted no more, by performance.now()
 * @typedef {{encoded: Blob, pixels: Pixels | null, decoding: Promise<void> | null}} Patch
 */

/** @typedef {ReturnType<typeof createPatches>} Patches */

/**
 * @param {(blob: Blob) => Promise<ImageBitmap>} decode @param {number} budgetBytes
 * @param {() => void} changed called when a patch can be drawn that could not be before
 */
export function createPatches(decode, budgetBytes, changed) {
  /** @type {Map<string, Patch>} by name, least recently drawn first */
  const known = new Map();
  /** @type {ReadonlySet<string>} */
  let inSight = new Set();
  let decodes = 0;

  const trim = () => {
    let bytes = [...known.values()].reduce((sum, { pixels }) => sum + bytesOf(pixels), 0);
    for (const [name, patch] of known) {
      if (bytes <= budgetBytes) return;
      if (inSight.has(name)) continue;
      bytes -= bytesOf(patch.pixels);
      close(patch);
    }
  };

  /** @param {Patch} patch */
  const load = (patch) => {
    patch.decoding ??= (async () => {
      decodes += 1;
      patch.pixels = { bitmap: await decode(patch.encoded), since: performance.now() };
      patch.decoding = null;
      trim();
      changed();
    })();
    return patch.decoding;
  };

  return {
    /** @param {string} name @param {Blob} encoded */
    keep(name, encoded) {
      if (!known.has(name)) known.set(name, { encoded, pixels: null, decoding: null });
    },

    /** Resolves when it can be drawn. @param {string} name */
    async ready(name) {
      const patch = known.get(name);
      if (patch && !patch.pixels) await load(patch);
    },

    /** What to draw, or null while it is being decoded. @param {string} name @returns {Pixels | null} */
    take(name) {
      const patch = known.get(name);
      if (!patch) return null;
      known.delete(name);
      known.set(name, patch);
      if (!patch.pixels) void load(patch);
      return patch.pixels;
    },

    /** What there is of it, without asking for more. @param {string} name */
    peek: (name) => known.get(name)?.pixels ?? null,

    /** @param {string} name */
    encoded: (name) => known.get(name)?.encoded,

    /** These stay decoded, as they are drawn in every frame. @param {ReadonlySet<string>} names */
    hold(names) {
      inSight = names;
      trim();
    },

    /** @param {Iterable<string>} names */
    drop(names) {
      for (const name of names) {
        const patch = known.get(name);
        if (patch) close(patch);
        known.delete(name);
      }
    },

    names: () => [...known.keys()],

    /** For tests. */
    counts: () => ({
      patches: known.size,
      decoded: [...known.values()].filter(({ pixels }) => pixels).length,
    }),
    /** How often something was decoded, for tests. */
    decodes: () => decodes,
  };
}

/** @param {Patch} patch */
function close(patch) {
  patch.pixels?.bitmap.close();
  patch.pixels = null;
}

/** @param {Pixels | null} pixels */
const bytesOf = (pixels) => (pixels ? pixels.bitmap.width * pixels.bitmap.height * 4 : 0);
