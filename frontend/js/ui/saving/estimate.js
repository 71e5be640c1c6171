/**
 * How large a file is going to be: a few squares of the photo are encoded as all of it would be.
 *
 * @typedef {import("../../canvas/decode.worker.js").Pyramid} Pyramid
 */

const SQUARE_PX = 128;
/** So many squares in a row, and rows of them. */
const ACROSS = 3;

/**
 * @param {Pyramid} pyramid of the photo @param {import("../../core/view.js").Size} canvas what is saved
 * @param {string} type of the file @param {number} quality 1 to 100
 * @returns {Promise<number | null>} null: this browser does not write such files
 */
export async function estimateBytes(pyramid, canvas, type, quality) {
  const sample = await squares(pyramid).convertToBlob({ type, quality: quality / 100 });
  if (sample.type !== type) return null;
  return (sample.size * canvas.width * canvas.height) / (ACROSS * SQUARE_PX) ** 2;
}

/** Squares from all over the photo, side by side. @param {Pyramid} pyramid */
function squares({ levels: [level] }) {
  const canvas = new OffscreenCanvas(ACROSS * SQUARE_PX, ACROSS * SQUARE_PX);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  for (let i = 0; i < ACROSS ** 2; i++) {
    const [column, row] = [i % ACROSS, Math.floor(i / ACROSS)];
    const [x, y] = [(column + 0.5) / ACROSS, (row + 0.5) / ACROSS];
    const tile = level.tiles.findLast((each) => each.x <= x * level.width && each.y <= y * level.height);
    if (!tile) continue;
    const left = Math.max(0, Math.min(x * level.width - tile.x - SQUARE_PX / 2, tile.width - SQUARE_PX));
    const top = Math.max(0, Math.min(y * level.height - tile.y - SQUARE_PX / 2, tile.height - SQUARE_PX));
    const at = [column * SQUARE_PX, row * SQUARE_PX];
    context.drawImage(tile.bitmap, left, top, SQUARE_PX, SQUARE_PX, at[0], at[1], SQUARE_PX, SQUARE_PX);
  }
  return canvas;
}
