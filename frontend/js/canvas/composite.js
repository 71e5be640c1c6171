/**
 * Edits that take more memory than they may, as part of the photo: the older patches are drawn into copies of those tiles
 * of the pyramid that they touch, once, and let go. The newest stay patches, so that undo of them costs nothing. Undo
 * past those makes the copies anew; until they are ready, what was shown before stays.
 *
 * @typedef {import("./decode.worker.js").Pyramid} Pyramid
 * @typedef {import("./decode.worker.js").Tile} Tile
 * @typedef {import("../core/view.js").Box} Box
 * @typedef {import("../core/view.js").Size} Size
 * @typedef {{name: string, box: Box}} Placed  a patch and where it lies in the photo
 * @typedef {ReadonlyMap<Tile, OffscreenCanvas>} Tiles  what is drawn instead of tiles of the photo
 * @typedef {{tiles: Tiles, patches: readonly Placed[]}} Layers  the patches lie over the tiles
 */

import { covers, overlaps } from "../core/view.js";

/** Of the budget, so much goes on being patches. */
const LEFT = 0.5;

/**
 * @param {import("./patches.js").Patches} store @param {(blob: Blob) => Promise<ImageBitmap>} decode
 * @param {number} budgetBytes @param {() => void} changed
 */
export function createComposite(store, decode, budgetBytes, changed) {
  /** @type {Map<Tile, OffscreenCanvas>} */
  let tiles = new Map();
  /** Names of the patches in the tiles. @type {readonly string[]} */
  let drawn = [];
  /** @type {Pyramid | null} */
  let photo = null;
  /** @type {Layers} */
  let shown = { tiles, patches: [] };
  let busy = false;

  /**
   * Draws patches into tiles, one after another.
   * @param {readonly Placed[]} patches @param {Map<Tile, OffscreenCanvas>} into @param {Pyramid} pyramid @param {Size} image
   * @param {(name: string) => void} done called when one is drawn, in the same moment
   */
  const draw = async (patches, into, pyramid, image, done) => {
    for (const { name, box } of patches) {
      const known = store.peek(name)?.bitmap;
      const blob = store.encoded(name);
      const bitmap = known ?? (blob && (await decode(blob)));
      if (photo !== pyramid) return;
      if (bitmap) drawPatch(bitmap, box, into, pyramid, image);
      if (bitmap !== known) bitmap?.close();
      done(name);
    }
  };

  /** @param {readonly Placed[]} patches @param {Pyramid} pyramid @param {Size} image */
  const compose = async (patches, pyramid, image) => {
    const count = patches.length - newest(patches, LEFT * budgetBytes).length;
    const [older, newer] = [patches.slice(0, count), patches.slice(count)];
    if (startsWith(older, drawn)) {
      const into = tiles;
      await draw(older.slice(drawn.length), into, pyramid, image, (name) => {
        drawn = [...drawn, name];
      });
      return;
    }
    /** @type {Map<Tile, OffscreenCanvas>} */
    const fresh = new Map();
    await draw(older, fresh, pyramid, image, () => {});
    await Promise.all(newer.map(({ name }) => store.ready(name)));
    if (photo !== pyramid) return;
    tiles = fresh;
    drawn = older.map(({ name }) => name);
  };

  return {
    /**
     * What to draw for these patches, or for those before while that is being made.
     * @param {readonly Placed[]} patches in drawing order @param {Pyramid} pyramid @param {Size} image @returns {Layers}
     */
    layers(patches, pyramid, image) {
      if (photo !== pyramid) {
        photo = pyramid;
        tiles = new Map();
        drawn = [];
        shown = { tiles, patches: [] };
      }
      const fits = startsWith(patches, drawn);
      const rest = fits ? patches.slice(drawn.length) : [];
      if (!busy && (!fits || sizeOf(rest) > budgetBytes)) {
        busy = true;
        compose(patches, pyramid, image).finally(() => {
          busy = false;
          changed();
        });
      }
      if (!fits) return shown;
      const stay = new Set(sizeOf(rest) > budgetBytes ? newest(rest, LEFT * budgetBytes) : rest);
      shown = { tiles, patches: rest.filter((each) => stay.has(each) || store.peek(each.name)) };
      return shown;
    },
    /** The photo is closed. */
    clear() {
      photo = null;
      tiles = new Map();
      drawn = [];
      shown = { tiles, patches: [] };
    },
  };
}

/** @param {ImageBitmap} bitmap @param {Box} box @param {Map<Tile, OffscreenCanvas>} into @param {Pyramid} pyramid @param {Size} image */
function drawPatch(bitmap, box, into, pyramid, image) {
  for (const { width, height, tiles } of pyramid.levels) {
    const [sx, sy] = [width / image.width, height / image.height];
    const place = { x: box.x * sx, y: box.y * sy, width: box.width * sx, height: box.height * sy };
    for (const tile of tiles) {
      if (!overlaps(place, tile)) continue;
      const canvas = into.get(tile) ?? copyOf(tile);
      into.set(tile, canvas);
      const context = contextOf(canvas);
      context.setTransform(sx, 0, 0, sy, -tile.x, -tile.y);
      context.imageSmoothingQuality = sx < 0.5 ? "medium" : "low";
      if (pyramid.clear || covers(box, image)) context.clearRect(box.x, box.y, box.width, box.height);
      context.drawImage(bitmap, box.x, box.y, box.width, box.height);
    }
  }
}

/** @param {Tile} tile */
function copyOf(tile) {
  const canvas = new OffscreenCanvas(tile.width, tile.height);
  contextOf(canvas).drawImage(tile.bitmap, 0, 0);
  return canvas;
}

/** @param {OffscreenCanvas} canvas */
const contextOf = (canvas) => /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));

/** @param {readonly Placed[]} patches @param {readonly string[]} names */
const startsWith = (patches, names) => names.every((name, i) => patches[i]?.name === name);

/** @param {readonly Placed[]} patches @returns {number} bytes, decoded */
const sizeOf = (patches) => patches.reduce((sum, { box }) => sum + 4 * box.width * box.height, 0);

/** The last ones that take no more than that. @param {readonly Placed[]} patches @param {number} bytes */
function newest(patches, bytes) {
  let from = patches.length;
  while (from > 0 && sizeOf(patches.slice(from - 1)) <= bytes) from -= 1;
  return patches.slice(from);
}
