/**
 * Draws the photo and the patches over it: the smallest pyramid level that is sharp enough, and of it only the tiles
 * in sight, so that a frame costs what the window costs and not what the photo costs.
 *
 * @typedef {import("./stage.js").Frame} Frame
 * @typedef {import("./decode.worker.js").Pyramid} Pyramid
 * @typedef {import("./decode.worker.js").Level} Level
 * @typedef {import("../core/view.js").Box} Box
 * @typedef {{box: Box, pixels: import("./patches.js").Pixels | null}} ShownPatch
 * @typedef {object} Scene
 * @property {import("../core/view.js").Size & {photo: Box}} canvas  and where on it the photo lies
 * @property {Pyramid | null} pyramid
 * @property {import("./composite.js").Tiles | null} tiles  drawn instead of those of the pyramid
 * @property {readonly ShownPatch[]} patches
 * @property {number | null} split       screen x left of which the original is shown; null: the result everywhere
 * @property {string} surround
 * @property {readonly [string, string]} checks  colours of what lies behind a transparent photo
 * @property {number} fadeMs
 */

import { covers, overlaps, visibleBox } from "../core/view.js";

/** Beyond this zoom, pixels are shown as squares. */
const CRISP_ABOVE = 4;

/**
 * @param {CanvasRenderingContext2D} context set to image pixels @param {Frame} frame @param {Scene} scene
 * @returns {boolean} a patch is still fading in
 */
export function drawImageLayer(context, frame, scene) {
  const transform = context.getTransform();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.globalAlpha = 1;
  context.fillStyle = scene.surround;
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  if (!scene.pyramid) return false;
  const seen = visibleBox(frame.view, scene.canvas, frame.viewport);
  context.imageSmoothingEnabled = frame.view.scale * frame.dpr < CRISP_ABOVE;
  context.imageSmoothingQuality = "low";
  const { width, height, photo } = scene.canvas;
  const clear =
    scene.pyramid.clear ||
    photo.width < width ||
    photo.height < height ||
    (scene.tiles?.size ?? 0) > 0 ||
    scene.patches.some(({ box }) => covers(box, scene.canvas));
  const back = clear ? checkerboard(context, frame, scene.checks) : null;
  const whole = { x: 0, y: 0, width, height };
  if (back) fillBox(context, frame, whole, back);
  drawLevel(context, frame, scene, seen, scene.split === null ? scene.tiles : null);
  if (scene.split !== null) {
    context.save();
    context.beginPath();
    context.rect(scene.split * frame.dpr, 0, context.canvas.width, context.canvas.height);
    context.clip();
    if (scene.tiles) {
      if (back) fillBox(context, frame, whole, back);
      drawLevel(context, frame, scene, seen, scene.tiles);
    }
  }
  context.setTransform(transform);
  const fading = drawPatches(context, frame, scene, seen, back);
  if (scene.split !== null) context.restore();
  return fading;
}

/** @param {Pyramid} pyramid @param {number} needed level pixels per image pixel @returns {Level} */
export function levelFor(pyramid, needed) {
  let best = pyramid.levels[0];
  for (const level of pyramid.levels) if (level.width >= pyramid.width * needed) best = level;
  return best;
}

/**
 * Tile edges are rounded to device pixels, so that neighbours meet without a seam.
 * @param {CanvasRenderingContext2D} context in device pixels @param {Frame} frame @param {Scene} scene @param {Box} seen
 * @param {Scene["tiles"]} tiles drawn instead
 */
function drawLevel(context, { view, dpr }, scene, seen, tiles) {
  const pyramid = /** @type {Pyramid} */ (scene.pyramid);
  const { photo } = scene.canvas;
  const known = pyramid.width / photo.width; // below 1 when the server sent a smaller preview
  const level = levelFor(pyramid, (view.scale * dpr) / known);
  const sx = photo.width / level.width;
  const sy = photo.height / level.height;
  for (const tile of level.tiles) {
    const box = {
      x: photo.x + tile.x * sx,
      y: photo.y + tile.y * sy,
      width: tile.width * sx,
      height: tile.height * sy,
    };
    if (!overlaps(box, seen)) continue;
    const x0 = Math.round((box.x * view.scale + view.x) * dpr);
    const y0 = Math.round((box.y * view.scale + view.y) * dpr);
    const x1 = Math.round(((box.x + box.width) * view.scale + view.x) * dpr);
    const y1 = Math.round(((box.y + box.height) * view.scale + view.y) * dpr);
    context.drawImage(tiles?.get(tile) ?? tile.bitmap, x0, y0, Math.max(1, x1 - x0), Math.max(1, y1 - y0));
  }
}

/**
 * @param {CanvasRenderingContext2D} context set to image pixels @param {Frame} frame @param {Scene} scene @param {Box} seen
 * @param {CanvasPattern | null} back what a transparent patch is seen on, instead of the photo under it
 */
function drawPatches(context, frame, scene, seen, back) {
  let fading = false;
  if (frame.view.scale * frame.dpr < 0.5) context.imageSmoothingQuality = "medium";
  for (const { box, pixels } of scene.patches) {
    if (!pixels || !overlaps(box, seen)) continue;
    const alpha = opacity(pixels, frame.now, scene.fadeMs);
    if (back && alpha === 1) fillBox(context, frame, box, back);
    context.globalAlpha = alpha;
    fading ||= pixels.until ? alpha > 0 : alpha < 1;
    context.drawImage(pixels.bitmap, box.x, box.y, box.width, box.height);
  }
  context.globalAlpha = 1;
  return fading;
}

/** What goes stays until what comes over it has faded in, and fades then. @param {import("./patches.js").Pixels} pixels @param {number} now @param {number} fadeMs */
function opacity({ since, until }, now, fadeMs) {
  const share = until ? 2 - (now - until) / (fadeMs || 1) : (now - since) / (fadeMs || 1);
  return fadeMs > 0 ? Math.min(1, Math.max(0, share)) : until ? 0 : 1;
}

const CHECK_PX = 8;

/** @param {CanvasRenderingContext2D} context @param {Frame} frame @param {readonly [string, string]} colours */
function checkerboard(context, { view, dpr }, [light, dark]) {
  const tile = new OffscreenCanvas(2 * CHECK_PX, 2 * CHECK_PX);
  const brush = /** @type {OffscreenCanvasRenderingContext2D} */ (tile.getContext("2d"));
  brush.fillStyle = light;
  brush.fillRect(0, 0, 2 * CHECK_PX, 2 * CHECK_PX);
  brush.fillStyle = dark;
  brush.fillRect(0, 0, CHECK_PX, CHECK_PX);
  brush.fillRect(CHECK_PX, CHECK_PX, CHECK_PX, CHECK_PX);
  const pattern = context.createPattern(tile.transferToImageBitmap(), "repeat");
  pattern?.setTransform(new DOMMatrix([dpr, 0, 0, dpr, Math.round(view.x * dpr), Math.round(view.y * dpr)]));
  return pattern;
}

/** Paints the device pixels that a box covers. @param {CanvasRenderingContext2D} context @param {Frame} frame @param {Box} box @param {CanvasPattern} paint */
function fillBox(context, { view, dpr }, box, paint) {
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = paint;
  const x0 = Math.round((box.x * view.scale + view.x) * dpr);
  const y0 = Math.round((box.y * view.scale + view.y) * dpr);
  const x1 = Math.round(((box.x + box.width) * view.scale + view.x) * dpr);
  const y1 = Math.round(((box.y + box.height) * view.scale + view.y) * dpr);
  context.fillRect(x0, y0, x1 - x0, y1 - y0);
  context.restore();
}
