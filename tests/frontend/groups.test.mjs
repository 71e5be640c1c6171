import assert from "node:assert/strict";
import { test } from "node:test";
import { poly, rect, stroke } from "../../frontend/js/core/shapes.js";
import { groups, near, paintedArea } from "../../frontend/js/jobs/groups.js";

/** @param {number} x @param {number} y @param {"add" | "sub"} [op] */
const dab = (x, y, op = "add") => stroke([{ x, y }], 20, op);
/** @param {[number, number][]} points @param {"add" | "sub"} [op] */
const line = (points, op = "add") =>
  stroke(
    points.map(([x, y]) => ({ x, y })),
    10,
    op,
  );

test("strokes that touch are one group, others are groups of their own", () => {
  const [a, b, c, d] = [dab(0, 0), dab(15, 0), dab(100, 0), dab(116, 0)];
  assert.deepEqual(groups([a, c, b, d], 0), [
    [a, b],
    [c, d],
  ]);
  assert.deepEqual(groups([a, dab(25, 0)], 0).length, 2);
  assert.deepEqual(groups([a, dab(25, 0)], 3).length, 1, "grown masks touch where strokes do not");
});

test("a stroke that touches two groups makes them one, in the order of painting", () => {
  const [a, b, bridge] = [dab(0, 0), dab(200, 0), line([[0, 0], [200, 0]])]; // biome-ignore format: one line
  assert.deepEqual(groups([a, b, bridge], 0), [[a, b, bridge]]);
});

test("what lies in the box of a diagonal stroke, but not on it, does not touch it", () => {
  const diagonal = line([[0, 0], [1000, 1000]]); // biome-ignore format: one line
  assert.equal(groups([diagonal, dab(900, 100)], 0).length, 2);
  assert.equal(groups([diagonal, dab(500, 510)], 0).length, 1);
  assert.equal(groups([diagonal, line([[0, 1000], [1000, 0]])], 0).length, 1, "they cross"); // biome-ignore format: one line
});

test("an erasure belongs to what it erases, and boxes and outlines to what meets their box", () => {
  const size = { width: 500, height: 500 };
  const box = /** @type {import("../../frontend/js/core/shapes.js").Rect} */ (
    rect({ x: 100, y: 100 }, { x: 150, y: 150 }, size, "add")
  );
  const outline = /** @type {import("../../frontend/js/core/shapes.js").Poly} */ (
    poly(
      [
        { x: 140, y: 140 },
        { x: 200, y: 140 },
        { x: 200, y: 200 },
      ],
      "add",
    )
  );
  assert.deepEqual(
    groups([dab(0, 0), dab(5, 5, "sub"), box, outline], 0).map((group) => group.length),
    [2, 2],
  );
});

test("fills that a model would see are near, also past the other's own size", () => {
  const at = (/** @type {number} */ x, /** @type {number} */ size) => ({ x, y: 0, width: size, height: size });
  assert.ok(near(at(0, 20), at(250, 20)));
  assert.ok(!near(at(0, 20), at(300, 20)));
  assert.ok(near(at(0, 20), at(700, 700)), "the large one looks further around");
});

test("the area of what is painted is that of its parts, and not of the box around them", () => {
  assert.equal(paintedArea([dab(0, 0), dab(5000, 5000)]), 800);
});
