/** What the select tools ask of the server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePoints, poly, stroke } from "../../frontend/js/core/shapes.js";
import { markOf, viewFor } from "../../frontend/js/ui/tools/pointing.js";
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

test("a press points, a drag draws a box, and what takes away is no box", () => {
  const size = { width: 100, height: 80 };
  const press = stroke(
    [
      { x: 10, y: 10 },
      { x: 11, y: 11 },
    ],
    1,
    "add",
  );
  const drag = stroke(
    [
      { x: 10, y: 10 },
      { x: 50, y: 60 },
    ],
    1,
    "add",
  );
  assert.deepEqual(markOf(press, "sub", 1, size), { kind: "point", op: "sub", x: 40, y: 40 });
  assert.deepEqual(markOf(drag, "add", 1, size), { kind: "rect", op: "add", x: 10, y: 10, w: 40, h: 50 });
  assert.equal(markOf(drag, "sub", 1, size).kind, "stroke");
  assert.equal(markOf(press, "add", 20, size).kind, "rect", "the same press, seen twenty times as large, is a drag");
});

test("a view is looked at as long as it shows what is seen, and not too small", () => {
  const last = { x: 0, y: 0, width: 400, height: 300 };
  const near = { x: 100, y: 100, width: 250, height: 180 };
  assert.equal(viewFor(last, null, false), last);
  assert.equal(viewFor(near, last, false), last);
  const small = { x: 100, y: 100, width: 80, height: 60 };
  assert.equal(viewFor(small, last, false), small);
  assert.equal(viewFor(small, last, true), last, "what is held stays in sight");
  const beside = { x: 300, y: 0, width: 400, height: 300 };
  assert.equal(viewFor(beside, last, false), beside);
  assert.deepEqual(viewFor(beside, last, true), { x: 0, y: 0, width: 700, height: 300 });
});
