import assert from "node:assert/strict";
import { test } from "node:test";
import { addShape, EMPTY } from "../../frontend/js/core/document.js";
import { IDLE, reduce } from "../../frontend/js/core/gestures.js";
import { decodePoints, rect } from "../../frontend/js/core/shapes.js";
import { invertDraft } from "../../frontend/js/edits/inverted.js";
import { startSketch } from "../../frontend/js/tools/tools.js";

const image = { width: 100, height: 80 };
const setting = { op: /** @type {const} */ ("add"), diameter: 10, image };

/** @param {number} x @param {number} y */
const at = (x, y) => ({ x, y });
const begin = () => startSketch("polygon", at(10, 10), setting, null);

/** @param {import("../../frontend/js/core/shapes.js").Shape | null} shape */
const corners = (shape) => (shape?.kind === "poly" ? decodePoints(shape.p) : null);

test("a polygon is closed by a press near its start, and not before it has three corners", () => {
  const sketch = begin();
  assert.equal(sketch.corner?.(at(11, 11), 5, false), false);
  assert.equal(sketch.corner?.(at(50, 10), 5, false), false);
  assert.equal(sketch.corner?.(at(50, 60), 5, false), false);
  assert.equal(sketch.corner?.(at(13, 13), 5, false), true);
  assert.deepEqual(corners(sketch.end()), [at(10, 10), at(11, 11), at(50, 10), at(50, 60)]);
});

test("with Shift, edges lie on the nearest eighth of a turn", () => {
  const sketch = begin();
  sketch.corner?.(at(50, 13), 1, true);
  sketch.corner?.(at(72, 28), 1, true);
  sketch.move([at(20, 26)], true);
  const preview = sketch.preview();
  const points = preview?.points.map(({ x, y }) => [Math.round(x), Math.round(y)]);
  assert.deepEqual(points, [
    [10, 10],
    [50, 10],
    [70, 30],
    [20, 30],
  ]);
});

test("corners are taken back one by one", () => {
  const sketch = begin();
  sketch.corner?.(at(50, 10), 1, false);
  assert.equal(sketch.back?.(), true);
  assert.equal(sketch.back?.(), false);
});

test("Alt and drag size the brush, and paint nothing", () => {
  const down = {
    type: /** @type {const} */ ("down"),
    id: 1,
    pointer: /** @type {const} */ ("mouse"),
    time: 0,
    button: 0,
  };
  const keys = { shift: false, alt: true, space: false };
  const [state] = reduce(IDLE, { ...down, ...keys, points: [at(5, 5)] });
  const [moved, intents] = reduce(state, { ...down, ...keys, type: "move", points: [at(12, 9)] });
  assert.deepEqual(intents, [{ do: "size", by: 7, at: at(5, 5) }]);
  assert.deepEqual(reduce(moved, { ...down, ...keys, type: "up", points: [at(12, 9)] })[1], []);
});

/** Which pixels a draft of rectangles covers. @param {import("../../frontend/js/core/document.js").Doc} doc */
function covered({ draft }) {
  const pixels = new Uint8Array(image.width * image.height);
  for (const shape of draft) {
    assert.ok(shape.kind === "rect");
    for (let y = shape.y; y < shape.y + shape.h; y++)
      pixels.fill(shape.op === "add" ? 1 : 0, y * image.width + shape.x, y * image.width + shape.x + shape.w);
  }
  return pixels;
}

test("inverting twice gives what was painted, and once everything else", () => {
  const box = (/** @type {number} */ x, /** @type {number} */ y, /** @type {"add" | "sub"} */ op) =>
    /** @type {import("../../frontend/js/core/shapes.js").Rect} */ (rect(at(x, y), at(x + 30, y + 30), image, op));
  let doc = EMPTY;
  for (const shape of [box(5, 5, "add"), box(20, 20, "sub"), box(60, 40, "add"), box(25, 10, "add")])
    doc = addShape(doc, shape);
  const once = invertDraft(doc, image);
  assert.deepEqual(
    covered(once),
    covered(doc).map((pixel) => 1 - pixel),
  );
  assert.deepEqual(invertDraft(once, image).draft, doc.draft);
});
