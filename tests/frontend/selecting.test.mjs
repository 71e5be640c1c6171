/** What the select tools ask of the server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePoints, poly, stroke } from "../../frontend/js/core/shapes.js";
import { question } from "../../frontend/js/ui/tools/selecting.js";

const PATH = [
  { x: 10, y: 10 },
  { x: 40, y: 12 },
  { x: 42, y: 50 },
];

test("a rough stroke is its own prompt, and its shadow is asked for", () => {
  const drawn = stroke(PATH, 12, "sub");
  assert.deepEqual(question("snap", drawn, 1), { prompts: [{ ...drawn, op: "add" }], shadow: true });
});

test("an outline is closed, and as exact as it was seen", () => {
  const drawn = poly(PATH, "add");
  assert.ok(drawn);
  const [near] = question("magnet", drawn, 1).prompts;
  const [far] = question("magnet", drawn, 0.25).prompts;
  assert.ok(near.kind === "stroke" && far.kind === "stroke");
  const points = decodePoints(near.p);
  assert.deepEqual(points[0], points.at(-1));
  assert.equal(far.d, 4 * near.d);
});

test("a press of the wand has the usual tolerance, and a drag its own, whatever the zoom", () => {
  const from = { x: 10, y: 10 };
  const press = question("wand", stroke([from, from], 1, "add"), 2);
  assert.deepEqual(press, { prompts: [{ kind: "point", op: "add", x: 40, y: 40 }], params: { tolerance: 24 } });
  const drag = (/** @type {number} */ length, /** @type {number} */ scale) =>
    question("wand", stroke([from, { x: 10 + length, y: 10 }], 1, "add"), scale).params?.tolerance;
  assert.equal(drag(100, 1), 50);
  assert.equal(drag(25, 4), 50);
  assert.equal(drag(10_000, 1), 255);
});
