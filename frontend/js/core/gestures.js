/**
 * Pointer events in, intents out: a pure reducer, so that every rule below is tested from lists of events.
 *
 * - Left button, pen tip or one finger paints; the right button and the pen's eraser end paint with the opposite effect.
 * - Alt and the left button size the brush.
 * - Middle button, or any button while Space is held, pans.
 * - A second finger turns a young dab (within 200 ms, or before 8 px of travel) into a pinch; later ones are ignored.
 * - Two fingers tapped: undo. Three: redo.
 * - Once a pen was seen, fingers only pan and pinch (palm rejection).
 *
 * @typedef {import("./view.js").ScreenPoint} ScreenPoint
 * @typedef {object} PointerInput
 * @property {"down" | "move" | "up" | "cancel"} type
 * @property {number} id
 * @property {"mouse" | "pen" | "touch"} pointer
 * @property {readonly ScreenPoint[]} points  coalesced, oldest first; at least one
 * @property {number} time          milliseconds
 * @property {number} button        of a "down": 0 left, 1 middle, 2 right, 5 pen eraser
 * @property {boolean} shift
 * @property {boolean} [alt]
 * @property {boolean} space        Space is held, or the hand tool is chosen
 *
 * @typedef {{readonly do: "begin", readonly at: ScreenPoint, readonly erase: boolean, readonly shift: boolean}
 *   | {readonly do: "extend", readonly points: readonly ScreenPoint[], readonly shift: boolean}
 *   | {readonly do: "end"} | {readonly do: "abort"} | {readonly do: "undo"} | {readonly do: "redo"}
 *   | {readonly do: "pan", readonly dx: number, readonly dy: number}
 *   | {readonly do: "size", readonly by: number, readonly at: ScreenPoint}
 *   | {readonly do: "pinch", readonly from: readonly [ScreenPoint, ScreenPoint], readonly to: readonly [ScreenPoint, ScreenPoint]}} Intent
 *
 * @typedef {{readonly at: ScreenPoint, readonly start: ScreenPoint}} Finger
 * @typedef {object} GestureState
 * @property {"idle" | "paint" | "pan" | "size" | "pinch" | "spent"} mode  spent: waits until every finger has left
 * @property {number | null} owner      the pointer that paints or pans
 * @property {boolean} byTouch
 * @property {number} startedAt
 * @property {number} travel            furthest distance from the start, screen pixels
 * @property {number} most              the most fingers seen in this gesture
 * @property {boolean} penSeen
 * @property {Readonly<Record<number, Finger>>} fingers
 */

const SECOND_FINGER_MS = 200;
const SECOND_FINGER_PX = 8;
const TAP_MS = 300;
const TAP_PX = 12;

/** @type {GestureState} */
export const IDLE = Object.freeze({
  mode: "idle",
  owner: null,
  byTouch: false,
  startedAt: 0,
  travel: 0,
  most: 0,
  penSeen: false,
  fingers: Object.freeze({}),
});

/** @param {ScreenPoint} a @param {ScreenPoint} b */
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

/**
 * @param {GestureState} state @param {PointerInput} event
 * @returns {[GestureState, Intent[]]}
 */
export function reduce(state, event) {
  const seen = event.pointer === "pen" && !state.penSeen ? { ...state, penSeen: true } : state;
  if (event.pointer === "touch") return touch(seen, event);
  if (event.type === "down") return press(seen, event);
  if (seen.owner !== event.id || seen.byTouch) return [seen, []];
  return drag(seen, event);
}

/** @param {GestureState} state @param {PointerInput} event @returns {[GestureState, Intent[]]} */
function press(state, event) {
  if (state.mode !== "idle") return [state, []];
  const at = event.points[event.points.length - 1];
  const started = {
    ...state,
    owner: event.id,
    byTouch: false,
    startedAt: event.time,
    travel: 0,
    fingers: own(event.id, at),
  };
  if (event.space || event.button === 1) return [{ ...started, mode: "pan" }, []];
  if (event.alt && event.button === 0) return [{ ...started, mode: "size" }, []];
  const erase = event.button === 2 || event.button === 5;
  return [{ ...started, mode: "paint" }, [{ do: "begin", at, erase, shift: event.shift }]];
}

/** @param {number} id @param {ScreenPoint} at @returns {Record<number, Finger>} */
const own = (id, at) => ({ [id]: { at, start: at } });

/** A mouse, a pen, or the one finger that paints or pans. @param {GestureState} state @param {PointerInput} event @returns {[GestureState, Intent[]]} */
function drag(state, event) {
  const finger = state.fingers[event.id];
  const at = event.points[event.points.length - 1];
  if (event.type === "move") {
    const travel = Math.max(state.travel, distance(finger.start, at));
    const next = { ...state, travel, fingers: { ...state.fingers, [event.id]: { ...finger, at } } };
    if (state.mode === "pan") return [next, [{ do: "pan", dx: at.x - finger.at.x, dy: at.y - finger.at.y }]];
    if (state.mode === "size") return [next, [{ do: "size", by: at.x - finger.at.x, at: finger.start }]];
    return [next, [{ do: "extend", points: event.points, shift: event.shift }]];
  }
  const ended = { ...state, mode: /** @type {const} */ ("idle"), owner: null, fingers: {} };
  if (state.mode !== "paint") return [ended, []];
  return [ended, [{ do: event.type === "cancel" ? "abort" : "end" }]];
}

/** @param {GestureState} state @param {PointerInput} event @returns {[GestureState, Intent[]]} */
function touch(state, event) {
  if (state.mode !== "idle" && !state.byTouch) return [state, []]; // a palm beside the pen
  if (event.type === "down") return fingerDown(state, event);
  if (!state.fingers[event.id]) return [state, []];
  return event.type === "move" ? fingerMove(state, event) : fingerUp(state, event);
}

/** @param {GestureState} state @param {PointerInput} event @returns {[GestureState, Intent[]]} */
function fingerDown(state, event) {
  const at = event.points[event.points.length - 1];
  if (state.mode === "idle") {
    const fresh = {
      ...state,
      owner: event.id,
      byTouch: true,
      startedAt: event.time,
      travel: 0,
      most: 1,
      fingers: own(event.id, at),
    };
    if (state.penSeen || event.space) return [{ ...fresh, mode: "pan" }, []];
    return [{ ...fresh, mode: "paint" }, [{ do: "begin", at, erase: false, shift: event.shift }]];
  }
  const young = event.time - state.startedAt <= SECOND_FINGER_MS || state.travel < SECOND_FINGER_PX;
  if (state.mode === "paint" && !young) return [state, []];
  const fingers = { ...state.fingers, ...own(event.id, at) };
  const count = Object.keys(fingers).length;
  const next = {
    ...state,
    mode: /** @type {const} */ ("pinch"),
    owner: null,
    most: Math.max(state.most, count),
    fingers,
  };
  return [next, state.mode === "paint" ? [{ do: "abort" }] : []];
}

/** @param {GestureState} state @param {PointerInput} event @returns {[GestureState, Intent[]]} */
function fingerMove(state, event) {
  if (state.mode === "paint" || state.mode === "pan")
    return state.owner === event.id ? drag(state, event) : [state, []];
  const before = state.fingers[event.id];
  const at = event.points[event.points.length - 1];
  const fingers = { ...state.fingers, [event.id]: { ...before, at } };
  const next = { ...state, fingers, travel: Math.max(state.travel, distance(before.start, at)) };
  if (state.mode !== "pinch") return [next, []];
  const [a, b] = Object.keys(state.fingers).map(Number);
  if (b === undefined || (event.id !== a && event.id !== b)) return [next, []];
  const from = /** @type {const} */ ([state.fingers[a].at, state.fingers[b].at]);
  return [next, [{ do: "pinch", from, to: [fingers[a].at, fingers[b].at] }]];
}

/** @param {GestureState} state @param {PointerInput} event @returns {[GestureState, Intent[]]} */
function fingerUp(state, event) {
  if (state.mode === "paint" || state.mode === "pan")
    return state.owner === event.id ? drag(state, event) : [state, []];
  const { [event.id]: _left, ...fingers } = state.fingers;
  if (Object.keys(fingers).length > 0) return [{ ...state, mode: "spent", fingers }, []];
  const tap = event.type === "up" && event.time - state.startedAt <= TAP_MS && state.travel <= TAP_PX;
  const idle = { ...state, mode: /** @type {const} */ ("idle"), fingers: {} };
  if (!tap) return [idle, []];
  return [idle, state.most === 2 ? [{ do: "undo" }] : state.most === 3 ? [{ do: "redo" }] : []];
}

/** Wheel events that follow each other faster are of one device. */
const SAME_TURN_MS = 200;
/** A notch of a mouse's wheel, in the unit of `wheelDelta`. */
const NOTCH = 120;
/** A trackpad begins slower than any notch turns, in pixels. */
const SLOWEST_NOTCH_PX = 40;

/**
 * @typedef {{readonly trackpad: boolean, readonly time: number}} WheelTurn  events in a row, of one device
 * @typedef {{deltaX: number, deltaY: number, deltaMode: number, wheelDeltaY?: number, timeStamp: number, ctrlKey: boolean,
 *   shiftKey: boolean, altKey: boolean}} WheelInput
 */

/**
 * What turns: decided by the first event of a turn, since later ones look alike. Fractions tell nothing: a mouse on a
 * scaled screen sends them too.
 * @param {WheelInput} wheel @param {WheelTurn | null} before @returns {WheelTurn}
 */
export function wheelTurn(wheel, before) {
  const time = wheel.timeStamp;
  if (before && time - before.time < SAME_TURN_MS) return { ...before, time };
  const notched =
    wheel.deltaMode !== 0 ||
    (wheel.wheelDeltaY !== undefined && wheel.wheelDeltaY !== 0 && wheel.wheelDeltaY % NOTCH === 0);
  return { trackpad: !notched && (wheel.deltaX !== 0 || Math.abs(wheel.deltaY) < SLOWEST_NOTCH_PX), time };
}

/**
 * What a turn of the wheel means. Ctrl (a trackpad's pinch) always zooms; Shift and Alt size the brush; a trackpad's
 * two-finger scroll pans; a mouse wheel zooms.
 * @param {WheelInput} wheel @param {"auto" | "zoom" | "pan"} preference @param {WheelTurn} turn
 * @returns {{do: "zoom", factor: number} | {do: "pan", dx: number, dy: number} | {do: "size", steps: number}}
 */
export function readWheel(wheel, preference, turn) {
  const unit = wheel.deltaMode === 1 ? 33 : wheel.deltaMode === 2 ? 400 : 1;
  const dx = wheel.deltaX * unit;
  const dy = wheel.deltaY * unit;
  if (wheel.ctrlKey) return { do: "zoom", factor: Math.exp(-dy * 0.01) };
  if (wheel.shiftKey || wheel.altKey) {
    const turned = dy || dx; // some systems swap the axes while Shift is held
    return { do: "size", steps: -Math.sign(turned) * Math.max(1, Math.min(4, Math.round(Math.abs(turned) / 100))) };
  }
  if (preference === "pan" || (preference === "auto" && turn.trackpad)) return { do: "pan", dx: -dx, dy: -dy };
  return { do: "zoom", factor: Math.exp(-dy * 0.0015) };
}
