/**
 * Masks that came as pictures, drawn as ink. Loaded with the first of them.
 *
 * @typedef {Extract<import("../core/shapes.js").Shape, {kind: "bitmap"}>} Bitmap
 */

import { opacity, readBits } from "./mask-bits.js";

const LIGHT = 128;

/** At a time: a large photo's pixels at once are hundreds of megabytes. */
const STRIP_PX = 4_000_000;

/** Masks of fewer pixels are decoded as they are, at any zoom. */
const SMALL_PX = 1_000_000;

/**
 * A mask, opaque where it is painted: nothing yet of a `reduction` of Infinity.
 * @typedef {{picture: OffscreenCanvas, reduction: number, wanted: number, decoding: Promise<unknown>}} Decoded
 */

/** @type {WeakMap<Bitmap, Decoded>} */
const known = new WeakMap();

/**
 * By how much a mask may be reduced, a power of two, and be as fine as what is drawn: a photo's worth of pixels takes long.
 * @param {Bitmap} mask @param {number} scale pixels of what is drawn for one of the photo
 */
export function reductionFor({ w, h }, scale) {
  return scale >= 1 || w * h <= SMALL_PX ? 1 : 2 ** Math.floor(Math.log2(1 / scale));
}

/** As fine as wanted, or as it was until that is decoded. @param {Bitmap} shape @param {number} wanted @returns {Decoded} */
function decodedOf(shape, wanted) {
  const mask = known.get(shape) ?? {
    picture: new OffscreenCanvas(1, 1),
    reduction: Infinity,
    wanted: Infinity,
    decoding: Promise.resolve(),
  };
  known.set(shape, mask);
  if (wanted < mask.wanted) {
    mask.wanted = wanted;
    mask.decoding = maskOf(shape, wanted).then(
      (picture) => wanted < mask.reduction && Object.assign(mask, { picture, reduction: wanted }),
      () => Object.assign(mask, { reduction: 0 }), // the server says what is wrong with it
    );
  }
  return mask;
}

/** Done when it can be drawn. @param {Bitmap} shape @param {number} scale as of `reductionFor` */
export const decoded = (shape, scale) => decodedOf(shape, reductionFor(shape, scale)).decoding;

/**
 * @param {CanvasRenderingContext2D} context set to image pixels, with the ink @param {Bitmap} shape
 * @returns {boolean} false: it is still being decoded
 */
export function drawMask(context, shape) {
  const wanted = reductionFor(shape, context.getTransform().a);
  const { picture, reduction } = decodedOf(shape, wanted);
  draw(context, shape, picture);
  return reduction <= wanted;
}

/** @param {CanvasRenderingContext2D} context @param {Bitmap} shape @param {OffscreenCanvas} mask */
function draw(context, shape, mask) {
  const { x, y, w, h } = shape;
  if (shape.op === "sub") {
    context.globalCompositeOperation = "destination-out";
    context.drawImage(mask, x, y, w, h);
    return;
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
}

/** Opaque where it is painted; reduced, as opaque as it is light. @param {Bitmap} shape @param {number} reduction @returns {Promise<OffscreenCanvas>} */
export async function maskOf({ png, w, h }, reduction) {
  const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
  const bits = await readBits(bytes);
  if (bits?.width === w && bits.height === h) return canvasOf(bits, reduction);
  const blob = new Blob([bytes], { type: "image/png" });
  if (reduction > 1) return reducedOf(blob, Math.ceil(w / reduction), Math.ceil(h / reduction));
  const bitmap = await createImageBitmap(blob);
  const { canvas } = paintedOf(bitmap, w, h);
  bitmap.close();
  return canvas;
}

/** @param {import("./mask-bits.js").Bits} bits @param {number} reduction */
function canvasOf(bits, reduction) {
  const canvas = new OffscreenCanvas(Math.ceil(bits.width / reduction), Math.ceil(bits.height / reduction));
  const rows = Math.max(1, Math.floor(STRIP_PX / canvas.width));
  for (let top = 0; top < canvas.height; top += rows) {
    const pixels = opacity(bits, reduction, top, Math.min(canvas.height, top + rows));
    contextOf(canvas).putImageData(new ImageData(pixels, canvas.width), 0, top);
  }
  return canvas;
}

/** @param {Blob} blob @param {number} width @param {number} height */
async function reducedOf(blob, width, height) {
  const smaller = /** @type {const} */ ({ resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });
  const bitmap = await createImageBitmap(blob, smaller);
  const canvas = new OffscreenCanvas(width, height);
  const context = contextOf(canvas);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const image = context.getImageData(0, 0, width, height);
  for (let i = 0; i < image.data.length; i += 4) image.data[i + 3] = image.data[i]; // the grey is how much is painted
  context.putImageData(image, 0, 0);
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
  const rows = Math.max(1, Math.floor(STRIP_PX / width));
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
