/**
 * Choosing between the results of a fill, and taking a fill apart again.
 *
 * @typedef {import("../core/document.js").Doc} Doc
 * @typedef {import("../core/document.js").Edit} Edit
 * @typedef {import("../core/shapes.js").Shape} Shape
 * @typedef {import("../core/state.js").State} State
 */

import { patchesOn } from "../core/canvas.js";
import { documentOf } from "../core/state.js";
import { overlaps } from "../core/view.js";
import { shifted } from "./extending.js";

/**
 * Shows another result. Later fills that lie over what changes were computed on it, so they leave, and what was
 * painted for them returns to the draft: nothing painted is lost, and nothing is shown that does not fit together.
 * @param {Doc} doc @param {string} key @param {string} chosen
 * @param {(one: string, other: string) => boolean} meet whether two results, by the server's ids, change a common place
 * @returns {Doc}
 */
export function chooseResult(doc, key, chosen, meet) {
  const at = doc.edits.findIndex((edit) => edit.key === key);
  if (at < 0 || doc.edits[at].chosen === chosen) return doc;
  const { kept, freed } = sorted(doc.edits.slice(at + 1), [doc.edits[at].chosen, chosen], meet);
  return {
    ...doc,
    draft: freed.length > 0 ? [...freed, ...doc.draft] : doc.draft,
    edits: [...doc.edits.slice(0, at), { ...doc.edits[at], chosen }, ...kept],
  };
}

/**
 * Takes a fill out and gives its shapes back to be changed, with those of the fills that lie over it.
 * @param {Doc} doc @param {string} key @param {(one: string, other: string) => boolean} meet
 * @returns {Doc}
 */
export function reopenMask(doc, key, meet) {
  const at = doc.edits.findIndex((edit) => edit.key === key);
  if (at < 0) return doc;
  const { kept, freed } = sorted(doc.edits.slice(at + 1), [doc.edits[at].chosen], meet, doc.edits[at].shapes);
  return {
    ...doc,
    draft: [...freed, ...doc.draft],
    edits: [...doc.edits.slice(0, at), ...kept],
  };
}

/**
 * Fills that stay as they are, and the shapes of those that lie over something that changed, directly or by another.
 * Shapes move with the photo where its canvas grows.
 * @param {readonly Edit[]} edits @param {readonly string[]} changed @param {(one: string, other: string) => boolean} meet
 * @param {readonly Shape[]} [shapes] freed before
 */
function sorted(edits, changed, meet, shapes = []) {
  const different = [...changed];
  /** @type {Edit[]} */
  const kept = [];
  /** @type {Shape[]} */
  let freed = [...shapes];
  for (const edit of edits) {
    const { extend } = edit;
    if (extend) freed = freed.map((shape) => shifted(shape, extend.left, extend.top));
    if (different.some((id) => meet(id, edit.chosen))) {
      different.push(edit.chosen);
      freed.push(...edit.shapes);
    } else kept.push(edit);
  }
  return { kept, freed };
}

/** Whether two results, by the server's ids, change a common place. @param {State} state @returns {(one: string, other: string) => boolean} */
export function meeting(state) {
  const { edits } = documentOf(state);
  const all = new Map(
    edits.flatMap((edit, i) =>
      (state.results[edit.key] ?? []).map((result) => [
        result.edit,
        patchesOn(state, edits.slice(i), (each) => (each === edit ? result : null)).map(({ box }) => box),
      ]),
    ),
  );
  return (one, other) => (all.get(one) ?? []).some((a) => (all.get(other) ?? []).some((b) => overlaps(a, b)));
}

/** The result `step` further on in the list, round its ends. @param {State} state @param {number} step */
export function neighbour(state, step) {
  const edit = editInHand(state);
  const results = edit ? (state.results[edit.key] ?? []) : [];
  const at = results.findIndex((result) => result.edit === edit?.chosen);
  if (!edit || results.length < 2) return null;
  return { key: edit.key, edit: results[(at + step + results.length) % results.length].edit };
}

/** The fill whose results are talked of: the selected one, or the last. @param {State} state */
export function editInHand(state) {
  const edits = documentOf(state).edits.filter(({ shapes }) => shapes.length > 0);
  return edits.find((edit) => edit.key === state.selected) ?? edits.at(-1) ?? null;
}
