/**
 * Draws what is painted, opaque; the canvas as a whole is made translucent by its style, so that strokes which cross
 * do not darken each other.
 *
 * @typedef {import("./stage.js").Frame} Frame
 * @typedef {import("../core/shapes.js").Shape} Shape
 * @typedef {import("../tools/tools.js").Preview} Preview
 */

import { bounds, decodePoints } from "../core/shapes.js";
import { overlaps } from "../core/view.js";

/** @type {WeakMap<Shape, Path2D>} */
const paths = new WeakMap();

/** @typedef {Exclude<Shape, {kind: "bitmap"}>} Outlined */

/** @type {typeof import("./mask-layer.js").drawMask | null} loaded with the first mask that came as a picture */
let drawMask = null;

/** @param {Outlined} shape @returns {Path2D} in image pixels */
function pathOf(shape) {
  const known = paths.get(shape);
  if (known) return known;
  const path = new Path2D();
  if (shape.kind === "rect") path.rect(shape.x, shape.y, shape.w, shape.h);
  else {
    trace(path, decodePoints(shape.p));
    if (shape.kind === "poly") path.closePath();
  }
  paths.set(shape, path);
  return path;
}

/** Browsers draw no cap on a line of no length. */
const DAB = 0.01;

/** A lone point becomes a line that is next to none, which round caps make a dab. @param {Path2D | CanvasRenderingContext2D} path @param {readonly import("../core/view.js").ImagePoint[]} points */
function trace(path, points) {
  path.moveTo(points[0].x, points[0].y);
  if (points.length === 1) path.lineTo(points[0].x + DAB, points[0].y);
  for (const point of points.slice(1)) path.lineTo(point.x, point.y);
}

/**
 * @param {CanvasRenderingContext2D} context set to image pixels @param {Shape} shape
 * @param {number} [grow] by so much on every side, but for pictures
 * @returns {boolean} false: it is still being decoded
 */
export function drawShape(context, shape, grow = 0) {
  if (shape.kind === "bitmap") {
    if (!drawMask) import("./mask-layer.js").then((layer) => (drawMask = layer.drawMask));
    return drawMask?.(context, shape) ?? false;
  }
  context.globalCompositeOperation = shape.op === "add" ? "source-over" : "destination-out";
  if (shape.kind === "stroke") {
    context.lineWidth = Math.max(0, shape.d + 2 * grow);
    context.stroke(pathOf(shape));
    return true;
  }
  context.fill(pathOf(shape));
  if (grow > 0) {
    context.lineWidth = 2 * grow;
    context.stroke(pathOf(shape));
  }
  return true;
}

/** @param {CanvasRenderingContext2D} context @param {string | CanvasPattern} ink */
export function setInk(context, ink) {
  context.lineCap = "round";
  context.lineJoin = "round";
  context.strokeStyle = ink;
  context.fillStyle = ink;
}

/**
 * @param {CanvasRenderingContext2D} context set to image pixels, wiped @param {Frame} frame @param { readonly Shape[]} shapes
 * @param {number} [grow] of all that is painted
 * @returns {boolean} something is still being decoded
 */
export function drawInkLayer(context, frame, shapes, grow = 0) {
  const seen = {
    x: -frame.view.x / frame.view.scale,
    y: -frame.view.y / frame.view.scale,
    width: frame.viewport.width / frame.view.scale,
    height: frame.viewport.height / frame.view.scale,
  };
  let decoding = false;
  for (const shape of shapes) {
    if (!overlaps(bounds(shape), seen)) continue;
    if (!drawShape(context, shape, shape.op === "add" ? grow : -grow)) decoding = true;
  }
  context.globalCompositeOperation = "source-over";
  return decoding;
}

/** @param {CanvasRenderingContext2D} context set to image pixels @param {Extract<Preview, {kind: "segment"}>} segment */
export function drawSegment(context, segment) {
  context.globalCompositeOperation = segment.op === "add" ? "source-over" : "destination-out";
  context.lineWidth = segment.d;
  context.beginPath();
  trace(context, segment.points);
  context.stroke();
  context.globalCompositeOperation = "source-over";
}
