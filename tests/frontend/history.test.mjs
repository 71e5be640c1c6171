import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addShape,
  chooseResult,
  clearDraft,
  commitEdit,
  EMPTY,
  parentsOf,
  shownEdits,
} from "../../frontend/js/core/document.js";
import {
  begin,
  canRedo,
  canUndo,
  current,
  MOST_STEPS,
  record,
  redo,
  undo,
  undoLabel,
} from "../../frontend/js/core/history.js";
import { rect } from "../../frontend/js/core/shapes.js";

const size = { width: 100, height: 100 };
/** @param {number} x @param {"add" | "sub"} [op] */
const box = (x, op = "add") =>
  /** @type {import("../../frontend/js/core/shapes.js").Rect} */ (rect({ x, y: 0 }, { x: x + 5, y: 5 }, size, op));
const [a, b, c] = [box(0), box(10), box(20)];

test("undo past a fill returns its shapes to the draft, and redo fills again", () => {
  let timeline = begin(EMPTY);
  timeline = record(timeline, "stroke", addShape(current(timeline), a));
  timeline = record(timeline, "stroke", addShape(current(timeline), b));
  timeline = record(timeline, "fill", commitEdit(current(timeline), { key: "k", shapes: [a, b], chosen: "e1" }));
  assert.deepEqual(current(timeline), { draft: [], edits: [{ key: "k", shapes: [a, b], chosen: "e1" }] });
  assert.equal(undoLabel(timeline), "fill");
  timeline = undo(timeline);
  assert.deepEqual(current(timeline), { draft: [a, b], edits: [] });
  timeline = redo(timeline);
  assert.deepEqual(shownEdits(current(timeline)), ["e1"]);
});

test("what is painted while a fill runs stays in the draft when it arrives", () => {
  const doc = [a, b, c].reduce(addShape, EMPTY);
  assert.deepEqual(commitEdit(doc, { key: "k", shapes: [a, b], chosen: "e1" }).draft, [c]);
});

test("erasing where nothing is painted leaves no trace", () => {
  assert.deepEqual(addShape(EMPTY, box(0, "sub")).draft, []);
  const doc = [a, box(0, "sub")].reduce(addShape, EMPTY);
  assert.deepEqual(commitEdit(doc, { key: "k", shapes: [a], chosen: "e1" }).draft, []);
});

test("choosing another result of an earlier fill returns later shapes to the draft", () => {
  let doc = [a, b, c].reduce(addShape, EMPTY);
  doc = commitEdit(doc, { key: "one", shapes: [a], chosen: "e1" });
  doc = commitEdit(doc, { key: "two", shapes: [b], chosen: "e2" });
  assert.deepEqual(parentsOf(doc, "two"), ["e1"]);
  const chosen = chooseResult(doc, "one", "e9");
  assert.deepEqual(chosen, { draft: [b, c], edits: [{ key: "one", shapes: [a], chosen: "e9" }] });
});

test("choosing the result of the last fill changes nothing else, and choosing it twice is no step", () => {
  let doc = commitEdit(addShape(EMPTY, a), { key: "one", shapes: [a], chosen: "e1" });
  doc = chooseResult(doc, "one", "e2");
  assert.deepEqual(doc, { draft: [], edits: [{ key: "one", shapes: [a], chosen: "e2" }] });
  const timeline = begin(doc);
  assert.equal(record(timeline, "choice", chooseResult(doc, "one", "e2")), timeline);
});

test("a new step drops what was undone, and clearing can be undone", () => {
  let timeline = begin(addShape(EMPTY, a));
  timeline = record(timeline, "clear", clearDraft(current(timeline)));
  timeline = undo(timeline);
  assert.ok(canRedo(timeline));
  timeline = record(timeline, "stroke", addShape(current(timeline), b));
  assert.ok(!canRedo(timeline));
  assert.deepEqual(current(timeline).draft, [a, b]);
});

test("the timeline is bounded", () => {
  let timeline = begin(EMPTY);
  for (let i = 0; i < MOST_STEPS + 50; i++) timeline = record(timeline, "s", { draft: [], edits: [] });
  assert.equal(timeline.steps.length, MOST_STEPS);
  assert.ok(canUndo(timeline));
});
