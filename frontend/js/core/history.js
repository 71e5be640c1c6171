/**
 * One timeline over strokes, fills and choices. It holds whole documents: they share everything that did not change,
 * so a step costs a few references, and undo is "show the one before".
 *
 * @typedef {import("./document.js").Doc} Doc
 * @typedef {import("./document.js").Edit} Edit
 * @typedef {{readonly label: string, readonly doc: Doc, readonly of?: string}} Step  the label says what led here
 * @typedef {{readonly steps: readonly Step[], readonly at: number}} Timeline
 */

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
