/**
 * Masks that came as pictures, drawn as ink. Loaded with the first of them.
 *
 * @typedef {Extract<import("../core/shapes.js").Shape, {kind: "bitmap"}>} Bitmap
 */

const LIGHT = 128;

/** @type {WeakMap<Bitmap, OffscreenCanvas | null>} opaque where it is painted; null while it is decoded, and where it cannot be */
const known = new WeakMap();

/**
 * @param {CanvasRenderingContext2D} context set to image pixels, with the ink @param {Bitmap} shape
 * @returns {boolean} false: it is still being decoded
 */
export function drawMask(context, shape) {
  const mask = known.get(shape);
  if (mask === undefined) {
    known.set(shape, null);
    maskOf(shape).then(
      (decoded) => known.set(shape, decoded),
      () => known.set(shape, new OffscreenCanvas(1, 1)), // the server says what is wrong with it
    );
  }
  if (!mask) return false;
  const { x, y, w, h } = shape;
  if (shape.op === "sub") {
    context.globalCompositeOperation = "destination-out";
    context.drawImage(mask, x, y, w, h);
    return true;
  }
  const tinted = new OffscreenCanvas(context.canvas.width, context.canvas.height);
  const brush = contextOf(tinted);
  brush.setTransform(context.getTransform());
  brush.drawImage(mask, x, y, w, h);
  brush.globalCompositeOperation = "source-in";
  brush.fillStyle = context.fillStyle;
  brush.fillRect(x, y, w, h);
  const transform = context.getTransform();
  context.resetTransform();
  context.globalCompositeOperation = "source-over";
  context.drawImage(tinted, 0, 0);
  context.setTransform(transform);
  return true;
}

/** Opaque where it is painted. @param {Bitmap} shape @returns {Promise<OffscreenCanvas>} */
export async function maskOf({ png, w, h }) {
  const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { canvas } = paintedOf(bitmap, w, h);
  bitmap.close();
  return canvas;
}

/** @param {OffscreenCanvas} canvas */
const contextOf = (canvas) => /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));

/**
 * What is light in a picture becomes opaque white, all else clear.
 * @param {CanvasImageSource} picture @param {number} width what it is scaled to @param {number} height
 * @returns {{canvas: OffscreenCanvas, box: import("../core/view.js").Box | null}} box: around what is painted; null: nothing is
 */
export function paintedOf(picture, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
    canvas.getContext("2d", { willReadFrequently: true })
  );
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, width, height);
  const rows = Math.max(1, Math.floor(4_000_000 / width)); // at a time: a large photo's pixels at once are hundreds of megabytes
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let top = 0; top < height; top += rows) {
    const strip = context.getImageData(0, top, width, Math.min(rows, height - top));
    const { data } = strip;
    for (let i = 0, at = 0; i < data.length; i += 4, at++) {
      const painted = data[i + 3] >= LIGHT && data[i] * 299 + data[i + 1] * 587 + data[i + 2] * 114 >= 1000 * LIGHT;
      data[i] = data[i + 1] = data[i + 2] = data[i + 3] = painted ? 255 : 0;
      if (!painted) continue;
      const [x, y] = [at % width, top + Math.floor(at / width)];
      x0 = Math.min(x0, x);
      x1 = Math.max(x1, x + 1);
      y0 = Math.min(y0, y);
      y1 = Math.max(y1, y + 1);
    }
    context.putImageData(strip, 0, top);
  }
  return { canvas, box: x1 > x0 ? { x: x0, y: y0, width: x1 - x0, height: y1 - y0 } : null };
}
