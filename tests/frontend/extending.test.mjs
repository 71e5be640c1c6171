import assert from "node:assert/strict";
import { test } from "node:test";
import { canvasOf, marginsOf, patchesOn } from "../../frontend/js/core/canvas.js";
import { EMPTY, NO_MARGINS } from "../../frontend/js/core/document.js";
import { begin } from "../../frontend/js/core/history.js";
import { bounds, rect, stroke } from "../../frontend/js/core/shapes.js";
import { DEFAULT_PREFS, initialState } from "../../frontend/js/core/state.js";
import { chooseResult, meeting, reopenMask } from "../../frontend/js/edits/choices.js";
import {
  beside,
  border,
  dragged,
  extended,
  marginsFor,
  marginsTo,
  shifted,
} from "../../frontend/js/edits/extending.js";
import { config } from "./boot.mjs";

const photo = { width: 300, height: 200 };
const margins = { left: 10, top: 20, right: 30, bottom: 40 };
const dab = stroke([{ x: 50, y: 60 }], 8, "add");
const extension = { key: "x", shapes: [], chosen: "x", extend: margins };

/** @param {import("../../frontend/js/core/document.js").Doc} doc @param {Partial<import("../../frontend/js/core/state.js").State>} [more] */
const stateOf = (doc, more) => ({
  ...initialState({ config, models: { current: "opencv", wanted: "opencv", models: [] } }, DEFAULT_PREFS),
  image: { key: "k", name: "a.jpg", bytes: 1, ...photo, id: null, asPreview: false },
  timeline: begin(doc),
  ...more,
});

/** @param {string} edit @param {number} x @param {number} y */
const result = (edit, x, y) => ({
  edit,
  model: "opencv",
  seed: 0,
  ms: 1,
  strategy: "crop",
  params: {},
  patches: [{ url: "", x, y, w: 20, h: 20 }],
});

test("the border is all that is new, once", () => {
  const shapes = border(photo, margins);
  const area = shapes.reduce((sum, shape) => sum + bounds(shape).width * bounds(shape).height, 0);
  assert.equal(area, 340 * 260 - 300 * 200);
  assert.ok(beside(stateOf({ draft: [], edits: [extension] }), shapes));
  assert.ok(!beside(stateOf({ draft: [], edits: [extension] }), [dab]));
  assert.deepEqual(border(photo, NO_MARGINS), []);
});

test("what is painted moves with the photo", () => {
  assert.deepEqual(bounds(shifted(dab, 10, 20)), { ...bounds(dab), x: 56, y: 76 });
  const box = /** @type {import("../../frontend/js/core/shapes.js").Rect} */ (
    rect({ x: 1, y: 2 }, { x: 5, y: 6 }, photo, "sub")
  );
  assert.deepEqual(shifted(box, -1, 3), { ...box, x: 0, y: 5 });
  const doc = extended({ ...EMPTY, draft: [dab] }, photo, extension);
  assert.deepEqual(doc.draft[0], shifted(dab, 10, 20));
  assert.equal(doc.draft.length, 5);
  assert.equal(doc.edits.at(-1), extension);
});

test("the canvas is the photo and everything that was added", () => {
  const twice = { draft: [], edits: [extension, { ...extension, key: "y" }] };
  assert.deepEqual(canvasOf(stateOf(twice)), { width: 380, height: 320, photo: { x: 20, y: 40, ...photo } });
  assert.equal(marginsOf([]), NO_MARGINS);
  assert.equal(marginsOf(twice.edits), marginsOf(twice.edits), "the same object, so that nobody sees a change");
});

test("patches move with the photo, from the canvas that they were made on", () => {
  const first = { key: "a", shapes: [dab], chosen: "a1" };
  const second = { key: "b", shapes: [dab], chosen: "b1" };
  const doc = { draft: [], edits: [first, extension, second] };
  const state = stateOf(doc, { results: { a: [result("a1", 40, 50)], b: [result("b1", 0, 0)] } });
  const at = patchesOn(state, doc.edits).map(({ name, box }) => [name, box.x, box.y]);
  assert.deepEqual(at, [
    ["a1", 50, 70],
    ["b1", 0, 0],
  ]);
});

test("a fill that is taken apart gives its shapes back where they are now", () => {
  const first = { key: "a", shapes: [dab], chosen: "a1" };
  const over = { key: "b", shapes: [shifted(dab, 10, 20)], chosen: "b1" };
  const apart = { key: "c", shapes: [], chosen: "c1" };
  const doc = { draft: [], edits: [first, extension, over, apart] };
  const results = {
    a: [result("a1", 40, 50), result("a2", 40, 50)],
    b: [result("b1", 60, 80)],
    c: [result("c1", 40, 50)],
  };
  const meet = meeting(stateOf(doc, { results }));
  const reopened = reopenMask(doc, "a", meet);
  assert.deepEqual(reopened.edits, [extension, apart]);
  assert.deepEqual(reopened.draft, [shifted(dab, 10, 20), shifted(dab, 10, 20)]);
  const chosen = chooseResult(doc, "a", "a2", meet);
  assert.deepEqual(
    chosen.edits.map((edit) => edit.chosen),
    ["a2", "x", "c1"],
  );
});

test("handles move their sides, and none into the picture", () => {
  assert.deepEqual(dragged(margins, ["left"], -5, 99), { ...margins, left: 15 });
  assert.deepEqual(dragged(margins, ["right", "bottom"], 5, -99), { ...margins, right: 35, bottom: 0 });
});

test("a shape or a size is met by adding as little as possible, half on either side", () => {
  assert.deepEqual(marginsFor(photo, 1), { left: 0, top: 50, right: 0, bottom: 50 });
  assert.deepEqual(marginsFor(photo, 16 / 9), { left: 28, top: 0, right: 28, bottom: 0 });
  assert.deepEqual(marginsTo(photo, { width: 100, height: 203 }), { left: 0, top: 1, right: 0, bottom: 2 });
});
