import assert from "node:assert/strict";
import { test } from "node:test";
import { IDLE, readWheel, reduce, wheelTurn } from "../../frontend/js/core/gestures.js";

/** @typedef {import("../../frontend/js/core/gestures.js").PointerInput} PointerInput */

/** @param {Partial<PointerInput> & {x?: number, y?: number}} event @returns {PointerInput} */
const input = ({ x = 0, y = 0, ...event }) => ({
  type: "move",
  id: 1,
  pointer: "mouse",
  points: [{ x, y }],
  time: 0,
  button: 0,
  shift: false,
  space: false,
  ...event,
});

/** @param {(Partial<PointerInput> & {x?: number, y?: number})[]} events */
function play(events, state = IDLE) {
  /** @type {import("../../frontend/js/core/gestures.js").Intent[]} */
  const intents = [];
  for (const event of events) {
    const [next, wanted] = reduce(state, input(event));
    state = next;
    intents.push(...wanted);
  }
  return { state, intents, did: intents.map((intent) => intent.do) };
}

const touch = /** @type {const} */ ("touch");

test("the left button paints, and every coalesced point arrives", () => {
  const points = [
    { x: 1, y: 1 },
    { x: 2, y: 2 },
    { x: 3, y: 3 },
  ];
  const { intents } = play([{ type: "down" }, { points }, { type: "up" }]);
  assert.deepEqual(intents, [
    { do: "begin", at: { x: 0, y: 0 }, erase: false, shift: false },
    { do: "extend", points, shift: false },
    { do: "end" },
  ]);
});

test("the right button and the pen's eraser end erase", () => {
  const [mouse] = play([{ type: "down", button: 2 }]).intents;
  const [pen] = play([{ type: "down", pointer: "pen", button: 5 }]).intents;
  assert.ok(mouse.do === "begin" && mouse.erase);
  assert.ok(pen.do === "begin" && pen.erase);
});

test("the middle button and Space pan by what the pointer moved", () => {
  for (const how of [{ button: 1 }, { space: true }]) {
    const { intents } = play([{ type: "down", ...how }, { x: 5, y: 7 }, { x: 6, y: 7 }, { type: "up" }]);
    assert.deepEqual(intents, [
      { do: "pan", dx: 5, dy: 7 },
      { do: "pan", dx: 1, dy: 0 },
    ]);
  }
});

test("a second button pressed during a stroke does not begin another", () => {
  assert.deepEqual(play([{ type: "down" }, { type: "down", button: 2 }, { type: "up" }]).did, ["begin", "end"]);
});

test("a lost pointer takes the stroke back", () => {
  assert.deepEqual(play([{ type: "down" }, { type: "cancel" }]).did, ["begin", "abort"]);
});

test("a quick second finger turns the dab into a pinch", () => {
  const { intents, did } = play([
    { type: "down", pointer: touch },
    { type: "down", pointer: touch, id: 2, x: 100, time: 150 },
    { pointer: touch, id: 2, x: 200, time: 180 },
    { type: "up", pointer: touch, id: 2, x: 200, time: 900 },
    { pointer: touch, id: 1, x: 50, time: 950 },
    { type: "up", pointer: touch, id: 1, x: 50, time: 990 },
  ]);
  assert.deepEqual(did, ["begin", "abort", "pinch"]);
  assert.deepEqual(intents[2], {
    do: "pinch",
    from: [
      { x: 0, y: 0 },
      { x: 100, y: 0 },
    ],
    to: [
      { x: 0, y: 0 },
      { x: 200, y: 0 },
    ],
  });
});

test("a late second finger is ignored once the stroke has travelled", () => {
  const { did } = play([
    { type: "down", pointer: touch },
    { pointer: touch, x: 60, time: 250 },
    { type: "down", pointer: touch, id: 2, x: 100, time: 300 },
    { pointer: touch, id: 2, x: 150, time: 310 },
    { type: "up", pointer: touch, x: 60, time: 400 },
  ]);
  assert.deepEqual(did, ["begin", "extend", "end"]);
});

test("two fingers tapped undo, three redo", () => {
  const tap = (/** @type {number} */ count) => [
    ...Array.from({ length: count }, (_, i) => ({
      type: /** @type {const} */ ("down"),
      pointer: touch,
      id: i,
      x: i * 40,
      time: i * 10,
    })),
    ...Array.from({ length: count }, (_, i) => ({
      type: /** @type {const} */ ("up"),
      pointer: touch,
      id: i,
      x: i * 40,
      time: 100 + i,
    })),
  ];
  assert.deepEqual(play(tap(2)).did, ["begin", "abort", "undo"]);
  assert.deepEqual(play(tap(3)).did, ["begin", "abort", "redo"]);
});

test("once a pen was seen, a finger pans and a palm beside the pen does nothing", () => {
  const { state, did } = play([
    { type: "down", pointer: "pen" },
    { type: "down", pointer: touch, id: 7 },
    { pointer: touch, id: 7, x: 30 },
    { pointer: "pen", x: 3 },
    { type: "up", pointer: "pen" },
  ]);
  assert.deepEqual(did, ["begin", "extend", "end"]);
  assert.deepEqual(
    play(
      [
        { type: "down", pointer: touch, id: 7 },
        { pointer: touch, id: 7, x: 30 },
      ],
      state,
    ).did,
    ["pan"],
  );
});

const notch = { deltaX: 0, deltaY: 100, deltaMode: 0, timeStamp: 0, ctrlKey: false, shiftKey: false, altKey: false };
/** @param {Partial<import("../../frontend/js/core/gestures.js").WheelInput>} change @param {"auto" | "zoom" | "pan"} [preference] */
function turned(change, preference = "auto") {
  const wheel = { ...notch, ...change };
  return readWheel(wheel, preference, wheelTurn(wheel, null));
}

test("the wheel zooms, sizes or pans by its modifiers and its kind", () => {
  const zoom = turned({});
  assert.ok(zoom.do === "zoom" && zoom.factor < 1);
  assert.deepEqual(turned({ altKey: true }), { do: "size", steps: -1 });
  assert.deepEqual(turned({ deltaX: -100, deltaY: 0, shiftKey: true }), { do: "size", steps: 1 });
  assert.deepEqual(turned({ deltaX: 3 }), { do: "pan", dx: -3, dy: -100 });
  assert.equal(turned({ deltaX: 3 }, "zoom").do, "zoom");
  assert.equal(turned({ deltaX: 3, ctrlKey: true }, "pan").do, "zoom");
});

test("a mouse on a scaled screen turns by fractions and zooms all the same", () => {
  assert.equal(turned({ deltaY: 66.67 }).do, "zoom");
  assert.equal(turned({ deltaY: 26.6, wheelDeltaY: -120 }).do, "zoom");
  assert.equal(turned({ deltaY: 3, deltaMode: 1 }).do, "zoom");
});

test("a trackpad is known by its slow beginning and stays one while it is fast", () => {
  let turn = wheelTurn({ ...notch, deltaY: 2.5 }, null);
  assert.equal(readWheel(notch, "auto", turn).do, "pan");
  turn = wheelTurn({ ...notch, deltaY: 150, timeStamp: 50 }, turn);
  assert.equal(readWheel(notch, "auto", turn).do, "pan");
  turn = wheelTurn({ ...notch, deltaY: 150, timeStamp: 900 }, turn);
  assert.equal(readWheel(notch, "auto", turn).do, "zoom");
});
