import assert from "node:assert/strict";
import { test } from "node:test";
import { addShape, clearDraft, EMPTY, parentsOf, shownEdits } from "../../frontend/js/core/document.js";
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
import { chooseResult, reopenMask } from "../../frontend/js/edits/choices.js";
import { commitEdit, recordFill } from "../../frontend/js/edits/filled.js";

const size = { width: 100, height: 100 };
/** @param {number} x @param {"add" | "sub"} [op] */
const box = (x, op = "add") =>
  /** @type {import("../../frontend/js/core/shapes.js").Rect} */ (rect({ x, y: 0 }, { x: x + 5, y: 5 }, size, op));
const [a, b, c] = [box(0), box(10), box(20)];

/** @param {import("../../frontend/js/core/history.js").Timeline} timeline @param {import("../../frontend/js/core/document.js").Edit} edit */
const filled = (timeline, edit) => recordFill(timeline, edit, (doc) => commitEdit(doc, edit));
/** @param {...import("../../frontend/js/core/shapes.js").Shape} shapes */
const painted = (...shapes) =>
  shapes.reduce((timeline, shape) => record(timeline, "stroke", addShape(current(timeline), shape)), begin(EMPTY));

test("one undo past a fill gives the photo as it was before its strokes, and redo fills again", () => {
  let timeline = filled(painted(a, b), { key: "k", shapes: [a, b], chosen: "e1" });
  assert.deepEqual(current(timeline), { draft: [], edits: [{ key: "k", shapes: [a, b], chosen: "e1" }] });
  assert.equal(undoLabel(timeline), "fill");
  timeline = undo(timeline);
  assert.deepEqual(current(timeline), EMPTY);
  assert.ok(!canUndo(timeline));
  timeline = redo(timeline);
  assert.deepEqual(shownEdits(current(timeline)), ["e1"]);
});

test("what was painted while a fill ran stays a step after it", () => {
  let timeline = filled(painted(a, b), { key: "k", shapes: [a], chosen: "e1" });
  assert.deepEqual(current(timeline).draft, [b]);
  assert.equal(undoLabel(timeline), "stroke");
  timeline = undo(timeline);
  assert.deepEqual(current(timeline).draft, []);
  assert.deepEqual(shownEdits(current(timeline)), ["e1"]);
  assert.deepEqual(current(undo(timeline)), EMPTY);
});

test("fills that run beside each other are steps in the order in which their strokes were painted", () => {
  const [first, second] = [
    { key: "k", shapes: [a], chosen: "e1" },
    { key: "l", shapes: [b], chosen: "e2" },
  ];
  for (const order of [
    [first, second],
    [second, first],
  ]) {
    let timeline = order.reduce(filled, painted(a, b));
    assert.deepEqual(shownEdits(current(timeline)).sort(), ["e1", "e2"]);
    timeline = undo(timeline);
    assert.deepEqual(current(timeline), { draft: [], edits: [first] });
    assert.deepEqual(current(undo(timeline)), EMPTY);
  }
});

test("a stroke that was undone while a fill ran can be redone after it", () => {
  let timeline = filled(undo(painted(a, b)), { key: "k", shapes: [a], chosen: "e1" });
  assert.deepEqual(current(timeline).draft, []);
  timeline = redo(timeline);
  assert.deepEqual([current(timeline).draft, shownEdits(current(timeline))], [[b], ["e1"]]);
});

test("a fill of strokes that no step lies before is a step of its own", () => {
  const timeline = filled(begin(addShape(EMPTY, a)), { key: "k", shapes: [a], chosen: "e1" });
  assert.deepEqual(current(undo(timeline)).draft, [a]);
});

test("looking through the results of one fill is one step", () => {
  let timeline = filled(painted(a), { key: "k", shapes: [a], chosen: "e1" });
  for (const id of ["e2", "e3", "e4"])
    timeline = record(timeline, "choice", chooseResult(current(timeline), "k", id, apart), "k");
  assert.deepEqual(shownEdits(current(timeline)), ["e4"]);
  assert.deepEqual(shownEdits(current(undo(timeline))), ["e1"]);
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

const apart = () => false;
const together = () => true;

test("another result of an earlier fill returns the shapes of later fills that lie over it", () => {
  let doc = [a, b, c].reduce(addShape, EMPTY);
  doc = commitEdit(doc, { key: "one", shapes: [a], chosen: "e1" });
  doc = commitEdit(doc, { key: "two", shapes: [b], chosen: "e2" });
  assert.deepEqual(parentsOf(doc, "two"), ["e1"]);
  const chosen = chooseResult(doc, "one", "e9", together);
  assert.deepEqual(chosen, { draft: [b, c], edits: [{ key: "one", shapes: [a], chosen: "e9" }] });
});

test("later fills elsewhere stay, and what lies over one that leaves leaves with it", () => {
  let doc = [a, b, c].reduce(addShape, EMPTY);
  for (const [key, shape] of /** @type {const} */ ([
    ["one", a],
    ["two", b],
    ["three", c],
  ]))
    doc = commitEdit(doc, { key, shapes: [shape], chosen: key });
  const ids = (/** @type {import("../../frontend/js/core/document.js").Doc} */ { edits }) =>
    edits.map((edit) => edit.chosen);
  assert.deepEqual(ids(chooseResult(doc, "one", "other", apart)), ["other", "two", "three"]);
  const chain = (/** @type {string} */ one, /** @type {string} */ other) =>
    `${one} ${other}` === "one two" || `${one} ${other}` === "two three";
  const chosen = chooseResult(doc, "one", "other", chain);
  assert.deepEqual([ids(chosen), chosen.draft], [["other"], [b, c]]);
});

test("a mask that is opened again leaves its fill and gives its shapes back", () => {
  let doc = [a, b].reduce(addShape, EMPTY);
  doc = commitEdit(doc, { key: "one", shapes: [a], chosen: "e1" });
  doc = commitEdit(doc, { key: "two", shapes: [b], chosen: "e2" });
  const reopened = reopenMask(doc, "one", apart);
  assert.deepEqual([reopened.draft, shownEdits(reopened)], [[a], ["e2"]]);
  assert.deepEqual(reopenMask(doc, "one", together).draft, [a, b]);
});

test("choosing the result of the last fill changes nothing else, and choosing it twice is no step", () => {
  let doc = commitEdit(addShape(EMPTY, a), { key: "one", shapes: [a], chosen: "e1" });
  doc = chooseResult(doc, "one", "e2", apart);
  assert.deepEqual(doc, { draft: [], edits: [{ key: "one", shapes: [a], chosen: "e2" }] });
  const timeline = begin(doc);
  assert.equal(record(timeline, "choice", chooseResult(doc, "one", "e2", apart)), timeline);
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
