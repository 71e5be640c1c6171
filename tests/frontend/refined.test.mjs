/** The outline of a selected thing gives way to its mask. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { addShape, EMPTY } from "../../frontend/js/core/document.js";
import { begin, current, record, undo } from "../../frontend/js/core/history.js";
import { poly, rect } from "../../frontend/js/core/shapes.js";
import { invertDraft } from "../../frontend/js/edits/inverted.js";
import { awaitFiner, finer, refined } from "../../frontend/js/edits/refined.js";

const size = { width: 100, height: 100 };
const corners = [
  { x: 10, y: 10 },
  { x: 40, y: 10 },
  { x: 20, y: 50 },
];
const rough = /** @type {import("../../frontend/js/core/shapes.js").Poly} */ (poly(corners, "add"));
const other = /** @type {import("../../frontend/js/core/shapes.js").Rect} */ (
  rect(corners[0], corners[2], size, "add")
);
/** @type {import("../../frontend/js/core/shapes.js").Bitmap} */
const mask = { kind: "bitmap", op: "add", x: 10, y: 10, w: 30, h: 40, png: "" };

test("a mask takes the place of its outline in all steps, and nothing else changes", () => {
  const before = record(begin(EMPTY), "stroke", addShape(EMPTY, other));
  const selected = record(before, "select", addShape(current(before), rough));
  const later = undo(record(selected, "stroke", addShape(current(selected), other)));
  const fine = refined(later, rough, [mask]);
  assert.deepEqual(
    fine.steps.map(({ doc }) => doc.draft),
    [[], [other], [other, mask], [other, mask, other]],
  );
  assert.equal(fine.at, later.at);
  assert.equal(fine.steps[1], later.steps[1]);
  assert.equal(fine.steps[2].doc.draft[1], fine.steps[3].doc.draft[1]);
});

test("of an outline that was inverted meanwhile the mask is inverted", () => {
  const selected = record(begin(EMPTY), "select", addShape(EMPTY, rough));
  const inverted = record(selected, "invert", invertDraft(current(selected), size));
  const [, shape] = current(refined(inverted, rough, [mask])).draft;
  assert.deepEqual(shape, { ...mask, op: "sub" });
});

test("what is painted can be waited for as long as something finer will come", async () => {
  let settle = () => {};
  const settled = new Promise((/** @type {(value: void) => void} */ resolve) => (settle = resolve));
  assert.equal(finer([rough, other]), null);
  awaitFiner(rough, settled);
  assert.equal(finer([other]), null);
  const coming = finer([other, { ...rough, op: "sub" }]);
  assert.ok(coming);
  settle();
  await coming;
  assert.equal(finer([rough]), null);
});
