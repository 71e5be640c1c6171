/**
 * Adding to the sides of the canvas: what is drawn moves with the photo, and the new border is painted, to be filled.
 *
 * @typedef {import("../core/document.js").Doc} Doc
 * @typedef {import("../core/document.js").Margins} Margins
 * @typedef {import("../core/shapes.js").Shape} Shape
 * @typedef {import("../core/view.js").Size} Size
 */

import { canvasOf, marginsOf } from "../core/canvas.js";
import { sourceOf } from "../core/document.js";
import { bounds } from "../core/shapes.js";
import { overlaps } from "../core/view.js";

/** Points of shapes count quarters of a pixel. */
const QUARTER = 4;

/** The same shape elsewhere: always another one, so that a fill of the first is not taken for its own. @param {Shape} shape @param {number} dx @param {number} dy whole pixels @returns {Shape} */
export function shifted(shape, dx, dy) {
  if (!("p" in shape)) return { ...shape, x: shape.x + dx, y: shape.y + dy };
  const [x, y, ...rest] = shape.p;
  return { ...shape, p: [x + QUARTER * dx, y + QUARTER * dy, ...rest] };
}

/**
 * What is new on a canvas that had another size, as boxes that do not overlap.
 * @param {Size} before @param {Margins} margins @returns {Shape[]}
 */
export function border({ width, height }, { left, top, right, bottom }) {
  const whole = { y: 0, h: top + height + bottom };
  const middle = { x: left, w: width };
  const boxes = [
    { ...whole, x: 0, w: left },
    { ...whole, x: left + width, w: right },
    { ...middle, y: 0, h: top },
    { ...middle, y: top + height, h: bottom },
  ];
  return boxes
    .filter(({ w, h }) => w > 0 && h > 0)
    .map(({ x, y, w, h }) => Object.freeze({ op: "add", kind: "rect", x, y, w, h }));
}

/**
 * The document on the larger canvas.
 * @param {Doc} doc @param {Size} before  the canvas until now @param {import("../core/document.js").Edit & {extend: Margins}} edit
 * @returns {Doc}
 */
export function extended(doc, before, edit) {
  const moved = (/** @type {readonly Shape[]} */ shapes) =>
    shapes.map((shape) => shifted(shape, edit.extend.left, edit.extend.top));
  const { include, exclude } = sourceOf(doc);
  return {
    draft: [...moved(doc.draft), ...border(before, edit.extend)],
    edits: [...doc.edits, edit],
    source: { include: moved(include), exclude: moved(exclude) },
  };
}

/** What was painted for fills, where it lies on the canvas that they make. @param {readonly import("../core/document.js").Edit[]} edits */
export const shapesOn = (edits) =>
  edits.flatMap((edit, i) => {
    const { left, top } = marginsOf(edits.slice(i + 1));
    return edit.shapes.map((shape) => shifted(shape, left, top));
  });

/**
 * The least that has to be added on both sides for a ratio of width to height.
 * @param {Size} canvas @param {number} ratio @returns {Margins}
 */
export function marginsFor(canvas, ratio) {
  return marginsTo(canvas, {
    width: Math.max(canvas.width, Math.round(canvas.height * ratio)),
    height: Math.max(canvas.height, Math.round(canvas.width / ratio)),
  });
}

/** What has to be added for a size, half of it on either side. @param {Size} canvas @param {Size} size @returns {Margins} */
export function marginsTo(canvas, size) {
  const [wide, high] = [Math.max(0, size.width - canvas.width), Math.max(0, size.height - canvas.height)];
  const [left, top] = [Math.floor(wide / 2), Math.floor(high / 2)];
  return { left, top, right: wide - left, bottom: high - top };
}

/**
 * Margins after a handle was dragged: those sides that it holds move, and none into the picture.
 * @param {Margins} margins @param {readonly (keyof Margins)[]} sides @param {number} dx @param {number} dy image pixels
 * @returns {Margins}
 */
export function dragged(margins, sides, dx, dy) {
  const by = { left: -dx, right: dx, top: -dy, bottom: dy };
  return {
    ...margins,
    ...Object.fromEntries(sides.map((side) => [side, Math.max(0, Math.round(margins[side] + by[side]))])),
  };
}

/** Whether something was painted wholly beside the photo, as a new border is. @param {import("../core/state.js").State} state @param {readonly import("../core/shapes.js").Shape[]} shapes */
export const beside = (state, shapes) => shapes.some((shape) => !overlaps(bounds(shape), canvasOf(state).photo));
