import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bounds,
  decodePoints,
  encodePoints,
  poly,
  rect,
  simplify,
  stroke,
  unionBounds,
} from "../../frontend/js/core/shapes.js";

const image = { width: 100, height: 50 };

test("points survive the quarter-pixel code to within an eighth of a pixel", () => {
  const points = Array.from({ length: 50 }, (_, i) => ({ x: 10 + i * 1.37, y: 20 + Math.sin(i) * 9 }));
  const back = decodePoints(encodePoints(points));
  assert.equal(back.length, points.length);
  for (const [i, point] of back.entries()) {
    assert.ok(Math.abs(point.x - points[i].x) <= 0.125 && Math.abs(point.y - points[i].y) <= 0.125);
  }
});

test("rounding errors do not add up along a stroke", () => {
  const points = Array.from({ length: 1000 }, (_, i) => ({ x: i * 0.3, y: 0 }));
  const last = decodePoints(encodePoints(points)).at(-1);
  assert.ok(last && Math.abs(last.x - 299.7) <= 0.125);
});

test("a click without movement is a dab of one point", () => {
  assert.deepEqual(
    stroke(
      [
        { x: 5, y: 6 },
        { x: 5, y: 6 },
      ],
      20,
      "add",
    ),
    { op: "add", kind: "stroke", d: 20, p: [20, 24] },
  );
});

test("simplifying drops what lies on the line and keeps what does not", () => {
  const points = [
    { x: 0, y: 0 },
    { x: 5, y: 0.1 },
    { x: 10, y: 0 },
    { x: 10, y: 10 },
  ];
  assert.deepEqual(simplify(points, 0.5), [points[0], points[2], points[3]]);
});

test("simplifying a very long stroke does not overflow the stack", () => {
  const points = Array.from({ length: 20_000 }, (_, i) => ({ x: i, y: i * i * 0.01 }));
  assert.ok(simplify(points, 0.5).length > 2);
});

test("a four-hundred-point stroke is a few kilobytes on the wire", () => {
  const points = Array.from({ length: 400 }, (_, i) => ({
    x: 500 + 400 * Math.cos(i / 40),
    y: 500 + 300 * Math.sin(i / 17),
  }));
  assert.ok(JSON.stringify(stroke(points, 60, "add")).length < 4096);
});

test("a rectangle covers whole pixels and stays inside the photo", () => {
  assert.deepEqual(rect({ x: 90.5, y: 60 }, { x: 120, y: 40.2 }, image, "add"), {
    op: "add",
    kind: "rect",
    x: 90,
    y: 40,
    w: 10,
    h: 10,
  });
  assert.equal(rect({ x: 200, y: 10 }, { x: 150, y: 20 }, image, "add"), null);
});

test("a lasso that encloses nothing is no shape", () => {
  assert.equal(
    poly(
      [
        { x: 0, y: 0 },
        { x: 9, y: 9 },
      ],
      "add",
    ),
    null,
  );
  assert.equal(
    poly(
      [
        { x: 0, y: 0 },
        { x: 9, y: 9 },
        { x: 0, y: 9 },
      ],
      "sub",
    )?.op,
    "sub",
  );
});

test("bounds include the brush's radius; what erases does not widen the union", () => {
  const a = stroke(
    [
      { x: 10, y: 10 },
      { x: 30, y: 10 },
    ],
    8,
    "add",
  );
  const b = stroke([{ x: 90, y: 90 }], 8, "sub");
  assert.deepEqual(bounds(a), { x: 6, y: 6, width: 28, height: 8 });
  assert.deepEqual(unionBounds([a, b]), bounds(a));
  assert.equal(unionBounds([b]), null);
});
