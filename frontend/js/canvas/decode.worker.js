/**
 * Decodes off the main thread: a photo into a pyramid of tiles, a patch into a bitmap, a blob into a small picture.
 *
 * @typedef {{x: number, y: number, width: number, height: number, bitmap: ImageBitmap}} Tile
 * @typedef {{width: number, height: number, tiles: readonly Tile[]}} Level   largest first
 * @typedef {{width: number, height: number, levels: readonly Level[], clear: boolean}} Pyramid  clear: some of it is transparent
 * @typedef {{kind: "pyramid", blob: Blob} | {kind: "bitmap", blob: Blob} | {kind: "thumbnail", blob: Blob, size: number}} Task
 */

/** Small tiles keep what one frame must upload to a GPU small. */
const TILE = 2048;
/** The pyramid ends when the long side is no more than this. */
const SMALLEST = 1024;

self.addEventListener("message", async (event) => {
  const { id, task } = /** @type {{id: number, task: Task}} */ (event.data);
  try {
    const [value, transfer] = await perform(task);
    self.postMessage({ id, value }, { transfer });
  } catch (error) {
    self.postMessage({ id, failure: String(error) });
  }
});

/** @param {Task} task @returns {Promise<[unknown, Transferable[]]>} */
async function perform(task) {
  if (task.kind === "pyramid") return pyramid(task.blob);
  if (task.kind === "thumbnail") return [await thumbnail(task.blob, task.size), []];
  const bitmap = await createImageBitmap(task.blob);
  return [bitmap, [bitmap]];
}

/** @param {Blob} blob @returns {Promise<[Pyramid, Transferable[]]>} */
async function pyramid(blob) {
  let bitmap = await createImageBitmap(blob);
  const { width, height } = bitmap;
  /** @type {Level[]} */
  const levels = [];
  let clear = false;
  for (;;) {
    const last = Math.max(bitmap.width, bitmap.height) <= SMALLEST;
    if (last) clear = hasClear(bitmap);
    const half = last ? null : halve(bitmap);
    levels.push({ width: bitmap.width, height: bitmap.height, tiles: await cut(bitmap) });
    if (!half) break;
    bitmap = half;
  }
  return [{ width, height, levels, clear }, levels.flatMap((level) => level.tiles.map((tile) => tile.bitmap))];
}

/** @param {ImageBitmap} bitmap */
function halve(bitmap) {
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(bitmap.width / 2)),
    Math.max(1, Math.round(bitmap.height / 2)),
  );
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.transferToImageBitmap();
}

/** Whether anything shows through. A mean of transparent and opaque pixels does as well. @param {ImageBitmap} bitmap */
function hasClear(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 3; i < data.length; i += 4) if (data[i] < 255) return true;
  return false;
}

/** Consumes the bitmap. @param {ImageBitmap} bitmap @returns {Promise<Tile[]>} */
async function cut(bitmap) {
  if (bitmap.width <= TILE && bitmap.height <= TILE) {
    return [{ x: 0, y: 0, width: bitmap.width, height: bitmap.height, bitmap }];
  }
  /** @type {Tile[]} */
  const tiles = [];
  for (let y = 0; y < bitmap.height; y += TILE) {
    for (let x = 0; x < bitmap.width; x += TILE) {
      const width = Math.min(TILE, bitmap.width - x);
      const height = Math.min(TILE, bitmap.height - y);
      tiles.push({ x, y, width, height, bitmap: await createImageBitmap(bitmap, x, y, width, height) });
    }
  }
  bitmap.close();
  return tiles;
}

/** @param {Blob} blob @param {number} size of the long side @returns {Promise<Blob>} */
async function thumbnail(blob, size) {
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, size / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(bitmap.width * scale)),
    Math.max(1, Math.round(bitmap.height * scale)),
  );
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/png" });
}
