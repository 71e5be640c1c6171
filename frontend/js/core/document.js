/**
 * The undoable part of the state, as plain data, and the functions that make the next one.
 *
 * A document is the shapes painted but not yet filled (the draft) and the fills that are shown, in drawing order.
 * Which result of a fill is shown is part of the document; the results themselves are not (see `results` in
 * state.js): they only ever grow, so going back in time never loses one.
 *
 * @typedef {import("./shapes.js").Shape} Shape
 * @typedef {{readonly left: number, readonly top: number, readonly right: number, readonly bottom: number}} Margins
 * @typedef {object} Edit
 * @property {string} key       ours, names the list of results
 * @property {readonly Shape[]} shapes
 * @property {string} chosen    the server's id of the result that is shown
 * @property {Margins} [extend] what it added at the sides of the canvas; then it has neither shapes nor results
 * @typedef {{readonly include: readonly Shape[], readonly exclude: readonly Shape[]}} Source  where fills copy from here only, and never
 * @typedef {{readonly draft: readonly Shape[], readonly edits: readonly Edit[], readonly source?: Source}} Doc
 */

/** @type {Margins} */
export const NO_MARGINS = Object.freeze({ left: 0, top: 0, right: 0, bottom: 0 });

/** @type {Doc} */
export const EMPTY = Object.freeze({ draft: Object.freeze([]), edits: Object.freeze([]) });

/** Unique in this browser; not a secret, and made without what plain http lacks. */
export const newKey = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;

/** Erasing has an effect only on something painted before it. @param {readonly Shape[]} shapes */
export function withoutLeadingErasures(shapes) {
  const first = shapes.findIndex((shape) => shape.op === "add");
  return first < 0 ? [] : shapes.slice(first);
}

/** @param {Doc} doc @param {Shape} shape @returns {Doc} */
export const addShape = (doc, shape) => ({ ...doc, draft: withoutLeadingErasures([...doc.draft, shape]) });

/** @param {Doc} doc @returns {Doc} */
export const clearDraft = (doc) => ({ ...doc, draft: [] });

/** @type {Source} */
const ANYWHERE = Object.freeze({ include: Object.freeze([]), exclude: Object.freeze([]) });

/** Where fills may copy from. @param {Doc} doc */
export const sourceOf = (doc) => doc.source ?? ANYWHERE;

/** @param {Doc} doc @param {keyof Source} side @param {Shape} shape @returns {Doc} */
export const addSource = (doc, side, shape) => ({
  ...doc,
  source: { ...sourceOf(doc), [side]: withoutLeadingErasures([...sourceOf(doc)[side], shape]) },
});

/** @param {Doc} doc @returns {Doc} */
export const clearSource = (doc) => ({ ...doc, source: ANYWHERE });

/** The server's ids of the fills shown, in drawing order. @param {Doc} doc */
export const shownEdits = (doc) => doc.edits.map((edit) => edit.chosen);

/** What an edit was computed on. @param {Doc} doc @param {string} key @returns {string[] | null} null: not in this document */
export function parentsOf(doc, key) {
  const at = doc.edits.findIndex((edit) => edit.key === key);
  return at < 0 ? null : doc.edits.slice(0, at).map((edit) => edit.chosen);
}
