/**
 * The canvas: the photo, and what was added at its sides. Every position is one on the canvas as it is at that time, so
 * what was made before a side was added moves with the photo.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {import("./document.js").Edit} Edit
 * @typedef {import("./document.js").Margins} Margins
 * @typedef {import("./view.js").Box} Box
 */

import { NO_MARGINS } from "./document.js";
import { documentOf, patchesOf, shownResult } from "./state.js";

/** @param {Margins} a @param {Margins} b @returns {Margins} */
const added = (a, b) => ({
  left: a.left + b.left,
  top: a.top + b.top,
  right: a.right + b.right,
  bottom: a.bottom + b.bottom,
});

/** @type {WeakMap<readonly Edit[], Margins>} */
const known = new WeakMap();

/** What edits added around the photo; the same object for the same edits. @param {readonly Edit[]} edits */
export function marginsOf(edits) {
  const margins =
    known.get(edits) ?? edits.reduce((sum, { extend }) => (extend ? added(sum, extend) : sum), NO_MARGINS);
  known.set(edits, margins);
  return margins;
}

/**
 * The size of the canvas, and where on it the photo lies.
 * @param {State} state @param {readonly Edit[]} [edits]
 */
export function canvasOf(state, edits = documentOf(state).edits) {
  const { width, height } = state.image ?? { width: 1, height: 1 };
  const { left, top, right, bottom } = marginsOf(edits);
  return { width: width + left + right, height: height + top + bottom, photo: { x: left, y: top, width, height } };
}

/**
 * Patches where they lie on the canvas that some edits make, in drawing order.
 * @param {State} state @param {readonly Edit[]} edits
 * @param {(edit: Edit) => import("./state.js").Result | null} [resultOf]
 */
export function patchesOn(state, edits, resultOf = (edit) => shownResult(state, edit)) {
  const moved = marginsOf(edits) !== NO_MARGINS;
  return edits.flatMap((edit, i) => {
    const result = resultOf(edit);
    const patches = result ? patchesOf(result) : [];
    if (!moved) return patches;
    const { left, top } = marginsOf(edits.slice(i + 1));
    return patches.map(({ box, ...rest }) => ({ ...rest, box: { ...box, x: box.x + left, y: box.y + top } }));
  });
}
