/** The tool that follows edges, on pictures that are made here. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePoints } from "../../frontend/js/core/shapes.js";
import { liveWire, REACH } from "../../frontend/js/tools/livewire.js";

const SETTING = /** @type {const} */ ({ op: "add", diameter: 8, image: { width: 600, height: 400 } });

/** Of a picture: what is around a place. @param {(x: number, y: number) => number} level */
const windowOn = (level) => (/** @type {{x: number, y: number}} */ at) => {
  const side = 2 * REACH + 1;
  const [left, top] = [Math.floor(at.x) - REACH, Math.floor(at.y) - REACH];
  const data = new Uint8ClampedArray(4 * side * side);
  for (let at = 0; at < side * side; at++)
    data.fill(level(left + (at % side), top + Math.floor(at / side)), 4 * at, 4 * at + 4);
  return {
    pixels: { width: side, height: side, data },
    place: (/** @type {{x: number, y: number}} */ point) => ({ x: point.x - left, y: point.y - top }),
    point: (/** @type {number} */ x, /** @type {number} */ y) => ({ x: left + x + 0.5, y: top + y + 0.5 }),
  };
};
/** A bright ground below a wave. @param {number} x */
const wave = (x) => 200 + 20 * Math.sin(x / 25);
const hills = windowOn((x, y) => (y < wave(x) ? 60 : 160));

test("the line lies on the edge before it is ended", () => {
  const wire = liveWire({ x: 50, y: wave(50) + 5 }, SETTING, hills);
  for (let x = 60; x < 540; x += 20) {
    wire.move([{ x, y: wave(x) - 4 }]);
    const { points } = wire.preview();
    for (const point of points) assert.ok(Math.abs(point.y - wave(point.x)) <= 2.5, `${point.x} ${point.y}`);
    assert.ok(Math.abs(points[points.length - 1].x - x) <= 8);
  }
});

test("its points are neighbours, and none is there twice in a row", () => {
  const wire = liveWire({ x: 50, y: wave(50) }, SETTING, hills);
  for (let x = 60; x < 400; x += 20) wire.move([{ x, y: wave(x) - 4 }]);
  const { points } = wire.preview();
  for (const [index, point] of points.slice(1).entries()) {
    const apart = Math.hypot(point.x - points[index].x, point.y - points[index].y);
    assert.ok(apart > 0 && apart < 1.5, `${apart}`);
  }
});

test("where there is no edge it goes straight", () => {
  const wire = liveWire(
    { x: 100, y: 100 },
    SETTING,
    windowOn(() => 90),
  );
  wire.move([{ x: 140, y: 100 }]);
  for (const point of wire.preview().points) assert.ok(Math.abs(point.y - 100) <= 1);
});

test("going back takes the open part of the line back", () => {
  const wire = liveWire({ x: 100, y: wave(100) }, SETTING, hills);
  wire.move([{ x: 150, y: wave(150) }]);
  const longer = wire.preview().points.length;
  wire.move([{ x: 110, y: wave(110) }]);
  assert.ok(wire.preview().points.length < longer / 2);
});

test("a line to where nothing is shown comes to an end", () => {
  const still = hills({ x: 100, y: 200 });
  const wire = liveWire({ x: 100, y: 200 }, SETTING, () => still);
  wire.move([{ x: 5000, y: 200 }]);
  assert.ok(wire.preview().points.length > 0);
});

test("what was followed is an outline", () => {
  const wire = liveWire({ x: 100, y: wave(100) }, SETTING, hills);
  wire.move([
    { x: 160, y: wave(160) },
    { x: 150, y: 120 },
  ]);
  const shape = wire.end();
  assert.ok(shape?.kind === "poly");
  assert.ok(decodePoints(shape.p).length > 4);
});
