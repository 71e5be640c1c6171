/**
 * Which strokes belong together: those that touch are one hole, and all others can be filled on their own.
 *
 * @typedef {import("../core/shapes.js").Shape} Shape
 * @typedef {import("../core/view.js").Box} Box
 * @typedef {import("../core/view.js").ImagePoint} ImagePoint
 */

import { bounds, decodePoints, distanceToSegment, unionBounds } from "../core/shapes.js";
import { grown, overlaps } from "../core/view.js";

/** What a model looks at around a hole: at least so much, and as much again as the hole is long. */
const SEEN_PX = 256;

/**
 * Shapes that touch, erasures included, in groups; groups and shapes in the order in which they were painted.
 * @param {readonly Shape[]} shapes @param {number} growPx by which a mask is grown before it is filled
 * @returns {Shape[][]}
 */
export function groups(shapes, growPx) {
  /** @type {Shape[][]} */
  let found = [];
  for (const shape of shapes) {
    const joined = found.filter((group) => group.some((other) => touch(other, shape, 2 * growPx)));
    if (joined.length === 0) found.push([shape]);
    else {
      const members = new Set([...joined.flat(), shape]);
      joined[0].splice(0, Infinity, ...shapes.filter((each) => members.has(each)));
      found = found.filter((group) => group === joined[0] || !joined.includes(group));
    }
  }
  return found;
}

/** Whether a model that fills one of them sees the other. @param {Box} a @param {Box} b */
export const near = (a, b) => overlaps(seen(a), b) || overlaps(a, seen(b));

/** @param {Box} box */
const seen = (box) => grown(box, Math.max(SEEN_PX, box.width, box.height));

/** Pixels of the boxes around what is painted. @param {readonly Shape[]} shapes */
export function paintedArea(shapes) {
  const boxes = groups(shapes, 0).map((group) => unionBounds(group) ?? { width: 0, height: 0 });
  return boxes.reduce((sum, { width, height }) => sum + width * height, 0);
}

/** @param {Shape} a @param {Shape} b @param {number} gap px between them that still counts as touching */
function touch(a, b, gap) {
  if (!overlaps(grown(bounds(a), gap), bounds(b))) return false;
  if (a.kind !== "stroke" || b.kind !== "stroke") return true;
  const reach = (a.d + b.d) / 2 + gap;
  const [one, other] = [segments(a.p), segments(b.p)];
  return one.some(([p, q]) => other.some(([r, s]) => apart(p, q, r, s) <= reach));
}

/** @param {readonly number[]} coded @returns {[ImagePoint, ImagePoint][]} */
function segments(coded) {
  const points = decodePoints(coded);
  if (points.length === 1) return [[points[0], points[0]]];
  return points.slice(1).map((point, i) => [points[i], point]);
}

/** How far apart two segments are. @param {ImagePoint} p @param {ImagePoint} q @param {ImagePoint} r @param {ImagePoint} s */
function apart(p, q, r, s) {
  if (side(p, q, r) * side(p, q, s) < 0 && side(r, s, p) * side(r, s, q) < 0) return 0; // they cross
  return Math.min(
    distanceToSegment(p, r, s),
    distanceToSegment(q, r, s),
    distanceToSegment(r, p, q),
    distanceToSegment(s, p, q),
  );
}

/** On which side of the line a point lies, as a sign. @param {ImagePoint} from @param {ImagePoint} to @param {ImagePoint} point */
const side = (from, to, point) => (to.x - from.x) * (point.y - from.y) - (to.y - from.y) * (point.x - from.x);
