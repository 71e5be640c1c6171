/**
 * The tools: each turns a drag, in image pixels, into one shape. The eraser is any of them with `op: "sub"`.
 *
 * A sketch is a shape in the making. `preview` is what the ink layer draws meanwhile: a brush hands out only what is
 * new since it was asked last, so that a long stroke costs no more per frame than a short one.
 *
 * @typedef {import("../core/view.js").ImagePoint} ImagePoint
 * @typedef {import("../core/shapes.js").Shape} Shape
 * @typedef {import("../core/shapes.js").Op} Op
 * @typedef {{readonly kind: "segment", readonly op: Op, readonly d: number, readonly points: readonly ImagePoint[]}
 *   | {readonly kind: "outline", readonly op: Op, readonly points: readonly ImagePoint[]}} Preview
 * @typedef {object} Sketch
 * @property {(points: readonly ImagePoint[], straight?: boolean) => void} move  straight: Shift is held
 * @property {() => Preview | null} preview  null: nothing new
 * @property {() => Shape | null} end        null: nothing was drawn
 * @property {(at: ImagePoint, near: number, straight: boolean) => boolean} [corner]  a press adds a corner, and the release
 *   ends nothing; whether that closed the outline. `near` is how close to its start, in image pixels
 * @property {() => boolean} [back]          takes a corner back; whether one is left
 * @typedef {{op: Op, diameter: number, image: import("../core/view.js").Size}} Setting
 */

import { poly, rect, stroke } from "../core/shapes.js";
import { polygon } from "./polygon.js";

/**
 * @param {ImagePoint} start @param {Setting} setting @param {ImagePoint | null} from  joined to by a straight line (Shift-click)
 * @returns {Sketch}
 */
export function brush(start, setting, from = null) {
  const points = from ? [from, start] : [start];
  let drawn = 0;
  return {
    move: (more) => void points.push(...more),
    preview() {
      if (drawn === points.length) return null;
      const fresh = points.slice(Math.max(0, drawn - 1));
      drawn = points.length;
      return { kind: "segment", op: setting.op, d: setting.diameter, points: fresh };
    },
    end: () => stroke(points, setting.diameter, setting.op),
  };
}

/** @param {ImagePoint} start @param {Setting} setting @returns {Sketch} */
export function rectangle(start, setting) {
  let corner = start;
  return {
    move(more) {
      corner = more[more.length - 1];
    },
    preview: () => ({
      kind: "outline",
      op: setting.op,
      points: [start, { x: corner.x, y: start.y }, corner, { x: start.x, y: corner.y }],
    }),
    end: () => rect(start, corner, setting.image, setting.op),
  };
}

/** @param {ImagePoint} start @param {Setting} setting @returns {Sketch} */
export function lasso(start, setting) {
  const points = [start];
  return {
    move: (more) => void points.push(...more),
    preview: () => ({ kind: "outline", op: setting.op, points }),
    end: () => poly(points, setting.op),
  };
}

/** Tools that are loaded when they are chosen first. @type {Record<string, (start: ImagePoint, setting: Setting) => Sketch>} */
export const OTHERS = {};

/**
 * @param {import("../core/state.js").ToolName} tool @param {ImagePoint} start @param {Setting} setting
 * @param {ImagePoint | null} from
 */
export function startSketch(tool, start, setting, from) {
  if (tool === "rect") return rectangle(start, setting);
  if (tool === "lasso") return lasso(start, setting);
  if (tool === "polygon") return polygon(start, setting);
  const other = OTHERS[tool];
  if (other) return other(start, setting);
  return brush(start, setting, from);
}
