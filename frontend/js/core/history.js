/**
 * One timeline over strokes, fills and choices. It holds whole documents: they share everything that did not change,
 * so a step costs a few references, and undo is "show the one before".
 *
 * @typedef {import("./document.js").Doc} Doc
 * @typedef {import("./document.js").Edit} Edit
 * @typedef {{readonly label: string, readonly doc: Doc, readonly of?: string}} Step  the label says what led here
 * @typedef {{readonly steps: readonly Step[], readonly at: number}} Timeline
 */

import { w } from "./words.js";

/** Steps kept; the oldest are forgotten first. */
export const MOST_STEPS = 1000;

/** @param {Doc} doc @returns {Timeline} */
export const begin = (doc) => ({ steps: [{ label: "", doc }], at: 0 });

/** @param {Timeline} timeline */
export const current = (timeline) => timeline.steps[timeline.at].doc;

/**
 * What came after the present is dropped, as everywhere. Steps of one label and one `of` in a row become one: looking
 * through five results is one choice.
 * @param {Timeline} timeline @param {string} label @param {Doc} doc @param {string} [of]
 * @returns {Timeline}
 */
export function record(timeline, label, doc, of) {
  if (doc === current(timeline)) return timeline;
  const last = timeline.steps[timeline.at];
  const goesOn = of !== undefined && last.of === of && last.label === label;
  const past = timeline.steps.slice(0, timeline.at + (goesOn ? 0 : 1));
  const steps = [...past, { label, doc, ...(of === undefined ? {} : { of }) }].slice(-MOST_STEPS);
  return { steps, at: steps.length - 1 };
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

/** @param {Timeline} timeline */
export const canUndo = (timeline) => timeline.at > 0;
/** @param {Timeline} timeline */
export const canRedo = (timeline) => timeline.at < timeline.steps.length - 1;

/** @param {Timeline} timeline @param {number} at @returns {Timeline} */
export const goTo = (timeline, at) => ({ ...timeline, at: Math.min(timeline.steps.length - 1, Math.max(0, at)) });
/** @param {Timeline} timeline */
export const undo = (timeline) => goTo(timeline, timeline.at - 1);
/** @param {Timeline} timeline */
export const redo = (timeline) => goTo(timeline, timeline.at + 1);

/** @param {Timeline} timeline @returns {string} what undo would take back */
export const undoLabel = (timeline) => (canUndo(timeline) ? timeline.steps[timeline.at].label : "");
/** @param {Timeline} timeline @returns {string} */
export const redoLabel = (timeline) => (canRedo(timeline) ? timeline.steps[timeline.at + 1].label : "");
