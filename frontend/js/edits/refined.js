/**
 * Shapes that finer ones take the place of: the outline of a selected thing is painted before its mask has come.
 *
 * @typedef {import("../core/document.js").Doc} Doc
 * @typedef {import("../core/shapes.js").Shape} Shape
 * @typedef {import("../core/shapes.js").Poly} Poly
 */

/** By the points, which copies of a shape share with it. @type {Map<readonly number[], Promise<void>>} */
const awaited = new Map();

/** @param {Poly} rough @param {Promise<void>} settled when something finer has taken its place, or nothing will */
export function awaitFiner(rough, settled) {
  awaited.set(rough.p, settled);
  settled.then(() => awaited.delete(rough.p));
}

/** Resolves when nothing finer is awaited; null: it is not now. @param {readonly Shape[]} shapes @returns {Promise<unknown> | null} */
export function finer(shapes) {
  const coming = shapes.flatMap((shape) => (shape.kind === "poly" ? (awaited.get(shape.p) ?? []) : []));
  return coming.length > 0 ? Promise.all(coming) : null;
}

/**
 * In all steps, so that undo and redo meet the finer ones too.
 * @param {import("../core/history.js").Timeline} timeline @param {Poly} rough @param {readonly Shape[]} fine of the same effect
 * @returns {import("../core/history.js").Timeline}
 */
export function refined(timeline, rough, fine) {
  const [op, other] =
    rough.op === "add" ? /** @type {const} */ (["add", "sub"]) : /** @type {const} */ (["sub", "add"]);
  const inverse = fine.map((shape) => ({ ...shape, op: other }));
  /** @param {Shape} shape */
  const finerOf = (shape) => {
    if (shape.kind !== "poly" || shape.p !== rough.p) return shape;
    return shape.op === op ? fine : inverse;
  };
  const steps = timeline.steps.map((step) => {
    const draft = step.doc.draft.flatMap(finerOf);
    return draft.every((shape, i) => shape === step.doc.draft[i]) ? step : { ...step, doc: { ...step.doc, draft } };
  });
  return { ...timeline, steps };
}
