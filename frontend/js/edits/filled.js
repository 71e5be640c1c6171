/**
 * A fill becomes part of the document and of its history.
 *
 * @typedef {import("../core/document.js").Doc} Doc
 * @typedef {import("../core/document.js").Edit} Edit
 * @typedef {import("../core/history.js").Timeline} Timeline
 */

import { withoutLeadingErasures } from "../core/document.js";
import { current, MOST_STEPS, record } from "../core/history.js";
import { w } from "../core/words.js";

/**
 * A fill arrived: its shapes leave the draft; what was painted meanwhile stays.
 * @param {Doc} doc @param {Edit} edit
 * @returns {Doc}
 */
export function commitEdit(doc, edit) {
  const filled = new Set(edit.shapes);
  return {
    ...doc,
    draft: withoutLeadingErasures(doc.draft.filter((shape) => !filled.has(shape))),
    edits: [...doc.edits, edit],
  };
}

/**
 * A fill arrived: it takes the place of the steps that painted for it, so that one undo gives the photo as it was. What
 * was painted meanwhile stays a step of its own, after it, also where it was undone and can be redone.
 * @param {Timeline} timeline @param {Edit} edit @param {(doc: Doc) => Doc} commit puts the edit into a document
 * @returns {Timeline}
 */
export function recordFill(timeline, edit, commit) {
  const filled = new Set(edit.shapes);
  const past = timeline.steps.slice(0, timeline.at + 1);
  const before = past.findLastIndex(({ doc }) => !doc.draft.some((shape) => filled.has(shape)));
  if (before < 0) return record(timeline, w("fill"), commit(current(timeline)));
  const future = timeline.steps.slice(timeline.at + 1);
  const gone = future.findIndex(({ doc }) => !edit.shapes.every((shape) => doc.draft.includes(shape)));
  const told = [...past.slice(before + 1), ...(gone < 0 ? future : future.slice(0, gone))]
    .map(({ label, doc }, i) => ({ label, doc: commit(doc), at: before + 1 + i }))
    .filter(({ doc }, i, all) => i === 0 || !alike(doc, all[i - 1].doc));
  const at = before + told.filter((step) => step.at <= timeline.at).length;
  const after = told.map(({ label, doc }, i) => ({ label: i === 0 ? w("fill") : label, doc }));
  const steps = [...past.slice(0, before + 1), ...after];
  return { steps: steps.slice(-MOST_STEPS), at: at - Math.max(0, steps.length - MOST_STEPS) };
}

/** @param {Doc} a @param {Doc} b whether they hold the same things in the same order */
function alike(a, b) {
  const same = (/** @type {readonly unknown[]} */ some, /** @type {readonly unknown[]} */ others) =>
    some.length === others.length && some.every((each, i) => each === others[i]);
  return same(a.draft, b.draft) && same(a.edits, b.edits) && a.source === b.source;
}
