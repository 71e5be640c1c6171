/**
 * The inverse of what is painted.
 *
 * @typedef {import("../core/document.js").Doc} Doc
 * @typedef {import("../core/shapes.js").Shape} Shape
 */

import { withoutLeadingErasures } from "../core/document.js";

/**
 * What is not painted, painted, and the other way round.
 * @param {Doc} doc @param {import("../core/view.js").Size} canvas @returns {Doc}
 */
export function invertDraft(doc, { width, height }) {
  /** @type {Shape} */
  const whole = Object.freeze({ op: "add", kind: "rect", x: 0, y: 0, w: width, h: height });
  /** @type {readonly Shape[]} */
  const turned = doc.draft.map((shape) => ({ ...shape, op: shape.op === "add" ? "sub" : "add" }));
  const [first] = doc.draft;
  const isWhole = first?.op === "add" && first.kind === "rect" && first.w === width && first.h === height;
  return { ...doc, draft: withoutLeadingErasures(isWhole ? turned.slice(1) : [whole, ...turned]) };
}
