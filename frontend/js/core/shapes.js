/**
 * What people paint: vectors in image pixels, in the form that goes over the wire.
 *
 * Points are stored in quarter pixels, each as the difference to the one before it: a long stroke is a few
 * kilobytes of JSON, exact at every zoom, and can be sent again to another model.
 *
 * @typedef {import("./view.js").ImagePoint} ImagePoint
 * @typedef {import("./view.js").Box} Box
 * @typedef {Required<import("../wire/wire.js").Stroke>} Stroke
 * @typedef {Required<import("../wire/wire.js").Rectangle>} Rect
 * @typedef {Required<import("../wire/wire.js").Polygon>} Poly
 * @typedef {Required<import("../wire/wire.js").Bitmap>} Bitmap  a mask that came as a picture
 * @typedef {Stroke["op"]} Op
 * @typedef {Stroke | Rect | Poly | Bitmap} Shape
 */

import { union } from "./view.js";

const QUARTER = 4;

/** @param {readonly ImagePoint[]} points @returns {number[]} x0, y0, dx, dy, ... in quarter pixels; repeated points are dropped */
export function encodePoints(points) {
  /** @type {number[]} */
  const coded = [];
  let lastX = 0;
  let lastY = 0;
  for (const point of points) {
    const x = Math.round(point.x * QUARTER);
    const y = Math.round(point.y * QUARTER);
    if (coded.length > 0 && x === lastX && y === lastY) continue;
    coded.push(x - lastX, y - lastY);
    lastX = x;
    lastY = y;
  }
  return coded;
}

/** @param {readonly number[]} coded @returns {ImagePoint[]} */
export function decodePoints(coded) {
  /** @type {ImagePoint[]} */
  const points = [];
  let x = 0;
  let y = 0;
  for (let i = 0; i + 1 < coded.length; i += 2) {
    x += coded[i];
    y += coded[i + 1];
    points.push({ x: x / QUARTER, y: y / QUARTER });
  }
  return points;
}

/**
 * Ramer-Douglas-Peucker without recursion: no dropped point lies further than `tolerance` from the line kept.
 * @param {readonly ImagePoint[]} points @param {number} tolerance image pixels
 * @returns {ImagePoint[]}
 */
export function simplify(points, tolerance) {
  if (points.length < 3) return [...points];
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  /** @type {[number, number][]} */
  const spans = [[0, points.length - 1]];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [first, last] = span;
    let furthest = tolerance;
    let at = -1;
    for (let i = first + 1; i < last; i++) {
      const distance = distanceToSegment(points[i], points[first], points[last]);
      if (distance > furthest) {
        furthest = distance;
        at = i;
      }
    }
    if (at >= 0) {
      keep[at] = 1;
      spans.push([first, at], [at, last]);
    }
  }
  return points.filter((_, i) => keep[i] === 1);
}

/** How far a point is from a segment. @param {ImagePoint} p @param {ImagePoint} a @param {ImagePoint} b */
export function distanceToSegment(p, a, b) {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const length2 = dx * dx + dy * dy;
  const t = length2 === 0 ? 0 : Math.min(1, Math.max(0, ((p.x - a.x) * dx + (p.y - a.y) * dy) / length2));
  return Math.hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

/** @param {number} value */
const quarter = (value) => Math.round(value * QUARTER) / QUARTER;

/**
 * A round brush dragged along points; one point is a dab.
 * @param {readonly ImagePoint[]} points at least one @param {number} diameter image pixels @param {Op} op
 * @returns {Stroke}
 */
export function stroke(points, diameter, op) {
  const d = Math.max(1, quarter(diameter));
  const p = encodePoints(simplify(points, Math.min(0.5, 0.01 * d)));
  return Object.freeze({ op, kind: "stroke", d, p: Object.freeze(p) });
}

/**
 * The rectangle between two corners, in whole pixels and inside the photo; null when nothing of it is left.
 * @param {ImagePoint} a @param {ImagePoint} b @param {import("./view.js").Size} image @param {Op} op
 * @returns {Rect | null}
 */
export function rect(a, b, image, op) {
  const x0 = Math.max(0, Math.floor(Math.min(a.x, b.x)));
  const y0 = Math.max(0, Math.floor(Math.min(a.y, b.y)));
  const x1 = Math.min(image.width, Math.ceil(Math.max(a.x, b.x)));
  const y1 = Math.min(image.height, Math.ceil(Math.max(a.y, b.y)));
  if (x1 - x0 < 1 || y1 - y0 < 1) return null;
  return Object.freeze({ op, kind: "rect", x: x0, y: y0, w: x1 - x0, h: y1 - y0 });
}

/** A filled outline (lasso); null when it encloses nothing. @param {readonly ImagePoint[]} points @param {Op} op @returns {Poly | null} */
export function poly(points, op) {
  const outline = simplify(points, 0.5);
  if (outline.length < 3) return null;
  return Object.freeze({ op, kind: "poly", p: Object.freeze(encodePoints(outline)) });
}

/** @type {WeakMap<Shape, Box>} */
const knownBounds = new WeakMap();

/** The box a shape can touch, not clipped to the photo. @param {Shape} shape @returns {Box} */
export function bounds(shape) {
  const known = knownBounds.get(shape);
  if (known) return known;
  const box = "w" in shape ? { x: shape.x, y: shape.y, width: shape.w, height: shape.h } : pointBounds(shape);
  knownBounds.set(shape, box);
  return box;
}

/** @param {Stroke | Poly} shape @returns {Box} */
function pointBounds(shape) {
  const radius = shape.kind === "stroke" ? shape.d / 2 : 0;
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y } of decodePoints(shape.p)) {
    x0 = Math.min(x0, x - radius);
    y0 = Math.min(y0, y - radius);
    x1 = Math.max(x1, x + radius);
    y1 = Math.max(y1, y + radius);
  }
  return { x: x0, y: y0, width: x1 - x0, height: y1 - y0 };
}

/** @param {readonly Shape[]} shapes @returns {Box | null} of what is added; null when nothing is */
export function unionBounds(shapes) {
  const boxes = shapes.filter((shape) => shape.op === "add").map(bounds);
  return boxes.length === 0 ? null : union(boxes);
}
