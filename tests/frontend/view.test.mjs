import assert from "node:assert/strict";
import { test } from "node:test";
import {
  around,
  fit,
  keepInSight,
  MAX_SCALE,
  overlaps,
  pinch,
  toImage,
  toScreen,
  visibleBox,
  zoomAt,
} from "../../frontend/js/core/view.js";

const view = { scale: 0.5, x: 30, y: -20 };
/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b */
const near = (a, b) =>
  assert.ok(Math.hypot(a.x - b.x, a.y - b.y) < 1e-9, `${JSON.stringify(a)} != ${JSON.stringify(b)}`);

test("screen and image coordinates are each other's inverse", () => {
  near(toImage(view, toScreen(view, { x: 123, y: 45 })), { x: 123, y: 45 });
});

test("zooming keeps what is under the pointer under the pointer", () => {
  const pointer = { x: 200, y: 100 };
  const zoomed = zoomAt(view, pointer, 3);
  assert.equal(zoomed.scale, 1.5);
  near(toImage(zoomed, pointer), toImage(view, pointer));
});

test("zoom stops at its limit without drifting", () => {
  const pointer = { x: 200, y: 100 };
  const zoomed = zoomAt(view, pointer, 1e6);
  assert.equal(zoomed.scale, MAX_SCALE);
  near(toImage(zoomed, pointer), toImage(view, pointer));
});

test("a pinch keeps the middle of the fingers on the same place of the photo", () => {
  const after = pinch(
    view,
    [
      { x: 100, y: 100 },
      { x: 200, y: 100 },
    ],
    [
      { x: 150, y: 200 },
      { x: 350, y: 200 },
    ],
  );
  assert.equal(after.scale, 1);
  near(toImage(after, { x: 250, y: 200 }), toImage(view, { x: 150, y: 100 }));
});

test("around shows a box with its surroundings, and no more beyond the photo than needed", () => {
  const image = { width: 1000, height: 800 };
  const viewport = { width: 120, height: 90 };
  const middle = around({ x: 392, y: 296, width: 96, height: 48 }, image, viewport);
  assert.deepEqual(middle, { scale: 1, x: 60 - 440, y: 45 - 320 });
  const corner = around({ x: 0, y: 776, width: 48, height: 24 }, image, viewport);
  assert.deepEqual(corner, { scale: 2, x: 0, y: 90 - 1600 });
  const all = around({ x: 0, y: 0, width: 1000, height: 800 }, image, viewport);
  assert.equal(all.x, (120 - 1000 * all.scale) / 2);
  assert.equal(all.y, (90 - 800 * all.scale) / 2);
});

test("fit shows the whole photo, centred between the insets, and does not enlarge small ones", () => {
  const insets = { top: 48, right: 0, bottom: 52, left: 100 };
  const fitted = fit({ width: 4000, height: 1000 }, { width: 1100, height: 700 }, insets);
  assert.deepEqual(fitted, { scale: 0.25, x: 100, y: 48 + (600 - 250) / 2 });
  assert.equal(fit({ width: 10, height: 10 }, { width: 1100, height: 700 }, insets).scale, 1);
});

test("the photo cannot be lost out of sight", () => {
  const image = { width: 100, height: 100 };
  const viewport = { width: 500, height: 400 };
  assert.deepEqual(keepInSight({ scale: 1, x: 9999, y: -9999 }, image, viewport), { scale: 1, x: 436, y: -36 });
});

test("the visible box is clipped to the photo", () => {
  assert.deepEqual(visibleBox({ scale: 2, x: -100, y: 50 }, { width: 200, height: 80 }, { width: 100, height: 400 }), {
    x: 50,
    y: 0,
    width: 50,
    height: 80,
  });
});

test("boxes that only touch do not overlap", () => {
  const box = { x: 0, y: 0, width: 10, height: 10 };
  assert.equal(overlaps(box, { ...box, x: 10 }), false);
  assert.equal(overlaps(box, { ...box, x: 9.5 }), true);
});
