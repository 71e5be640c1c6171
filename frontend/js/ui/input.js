/**
 * Pointer, wheel and the keyboard's crosshair on the stage: gestures in, strokes and view changes out.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/view.js").ScreenPoint} ScreenPoint
 * @typedef {import("../core/view.js").ImagePoint} ImagePoint
 * @typedef {import("../core/gestures.js").Intent} Intent
 * @typedef {import("../tools/tools.js").Sketch} Sketch
 * @typedef {object} Ports
 * @property {import("../core/store.js").Store<State>} store
 * @property {HTMLElement} element
 * @property {import("../canvas/overlay.js").Overlay} overlay
 * @property {(part: import("../canvas/stage.js").Part) => void} invalidate
 * @property {(shape: import("../core/shapes.js").Shape) => void} painted
 * @property {(started: boolean) => void} stroking
 * @property {(id: string) => void} run a command by its id
 * @property {() => void} sized  the brush has another size
 * @property {(words: string) => void} say
 */

import { canvasOf } from "../core/canvas.js";
import { IDLE, readWheel, reduce, wheelTurn } from "../core/gestures.js";
import { bounds, decodePoints } from "../core/shapes.js";
import { brushDiameter, brushes, documentOf, grownBrush } from "../core/state.js";
import { keepInSight, overlaps, pan, pinch, toImage, toScreen, zoomAt } from "../core/view.js";
import { t } from "../core/words.js";
import { startSketch } from "../tools/tools.js";

const STEP_PX = 6;
const FAST_STEPS = 10;
/** A press so near the start of an outline, in screen pixels, closes it. */
const CLOSE_PX = 12;

/** @typedef {ReturnType<typeof createInput>} Input */

/** @param {Ports} ports */
export function createInput(ports) {
  const { store, element, overlay } = ports;
  let gesture = IDLE;
  let spaceHeld = false;
  /** @type {Sketch | null} */
  let sketch = null;
  /** The segments drawn so far of the stroke being made: drawn again when the view changes under it.
   * @type {Extract<import("../tools/tools.js").Preview, {kind: "segment"}>[]} */
  let segments = [];
  /** @type {import("../core/shapes.js").Op} */
  let op = "add";
  /** @type {ScreenPoint | null} */
  let pointer = null;
  /** @type {import("../core/gestures.js").WheelTurn | null} */
  let turn = null;

  /** @param {import("../core/view.js").View} view */
  const setView = (view) => {
    const state = store.get();
    if (state.image) store.update({ view: keepInSight(view, canvasOf(state), state.viewport), fitted: false });
  };

  /** @param {{clientX: number, clientY: number}} event @returns {ScreenPoint} */
  const at = (event) => {
    const { left, top } = element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };

  const showRing = () => {
    const state = store.get();
    const shown = state.image && brushes(state.tool) && !spaceHeld && gesture.mode !== "pan" ? pointer : null;
    overlay.ring(shown, brushDiameter(state) * state.view.scale);
  };

  /** @param {ImagePoint} start @param {boolean} erase @param {boolean} joined */
  const beginSketch = (start, erase, joined) => {
    const state = store.get();
    const { tool } = state;
    if (!state.image) return;
    op = (tool === "eraser") !== erase ? "sub" : "add";
    const from = joined && (tool === "brush" || tool === "eraser") ? lastPoint(state) : null;
    segments = [];
    sketch = startSketch(tool, start, { op, diameter: brushDiameter(state), image: canvasOf(state) }, from);
    store.update({ painting: true });
    ports.stroking(true);
    draw();
  };

  const draw = () => {
    if (sketch) ports.invalidate("stroke");
  };

  /** @param {boolean} keep */
  const endSketch = (keep) => {
    const shape = keep ? sketch?.end() : null;
    sketch = null;
    segments = [];
    overlay.outline([], op);
    store.update({ painting: false });
    ports.stroking(false);
    const { width, height } = canvasOf(store.get());
    if (shape && overlaps(bounds(shape), { x: 0, y: 0, width, height })) ports.painted(shape);
    else ports.invalidate("ink");
  };

  /** A press begins a stroke, or adds a corner to an outline. @param {ImagePoint} at @param {boolean} erase @param {boolean} shift */
  const begin = (at, erase, shift) => {
    if (!sketch?.corner) beginSketch(at, erase, shift);
    else if (sketch.corner(at, CLOSE_PX / store.get().view.scale, shift)) endSketch(true);
    else draw();
  };

  /** @param {readonly ScreenPoint[]} points @param {boolean} shift */
  const follow = (points, shift) => {
    const { view } = store.get();
    sketch?.move(
      points.map((point) => toImage(view, point)),
      shift,
    );
    draw();
  };

  /** @param {Intent} intent */
  const apply = (intent) => {
    const { view } = store.get();
    if (intent.do === "begin") begin(toImage(view, intent.at), intent.erase, intent.shift);
    else if (intent.do === "extend") follow(intent.points, intent.shift);
    else if (intent.do === "end" || intent.do === "abort") {
      if (!sketch?.corner) endSketch(intent.do === "end");
    } else if (intent.do === "size") {
      pointer = intent.at;
      store.update((state) => ({ prefs: grownBrush(state, 2 * intent.by) }));
      ports.sized();
    } else if (intent.do === "pan") setView(pan(view, intent.dx, intent.dy));
    else if (intent.do === "pinch") setView(pinch(view, intent.from, intent.to));
    else ports.run(intent.do);
  };

  /** @param {import("../core/gestures.js").PointerInput} input */
  const feed = (input) => {
    const [next, intents] = reduce(gesture, input);
    gesture = next;
    for (const intent of intents) apply(intent);
    showRing();
  };

  /** @param {PointerEvent} event @param {"down" | "move" | "up" | "cancel"} type */
  const onPointer = (event, type) => {
    if (!store.get().image) return;
    const pen = /** @type {const} */ (["pen", "touch"]).find((kind) => kind === event.pointerType) ?? "mouse";
    const merged = type === "move" ? (event.getCoalescedEvents?.() ?? []) : [];
    pointer = pen === "touch" ? null : at(event);
    if (type === "move" && sketch?.corner && gesture.mode === "idle") follow([at(event)], event.shiftKey);
    feed({
      type,
      id: event.pointerId,
      pointer: pen,
      points: merged.length > 0 ? merged.map(at) : [at(event)],
      time: event.timeStamp,
      button: event.buttons & 32 ? 5 : event.button,
      shift: event.shiftKey,
      alt: event.altKey,
      space: spaceHeld || ["hand", "extend", "cutout"].includes(store.get().tool),
    });
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.target !== element && !(event.target instanceof SVGElement)) return;
    element.setPointerCapture(event.pointerId);
    element.focus({ preventScroll: true });
    putCrosshairAway();
    onPointer(event, "down");
    event.preventDefault();
  });
  element.addEventListener("pointermove", (event) => onPointer(event, "move"));
  element.addEventListener("pointerup", (event) => onPointer(event, "up"));
  element.addEventListener("pointercancel", (event) => onPointer(event, "cancel"));
  element.addEventListener("pointerleave", () => {
    pointer = null;
    showRing();
  });
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { view, prefs } = store.get();
      turn = wheelTurn(event, turn);
      const meaning = readWheel(event, prefs.wheel, turn);
      if (meaning.do === "zoom") setView(zoomAt(view, at(event), meaning.factor));
      else if (meaning.do === "pan") setView(pan(view, meaning.dx, meaning.dy));
      else ports.run(meaning.steps > 0 ? "brush-larger" : "brush-smaller");
    },
    { passive: false },
  );

  const putCrosshairAway = () => {
    if (!store.get().crosshair) return;
    if (sketch && store.get().penDown) endSketch(false);
    store.update({ crosshair: null, penDown: false });
  };

  /** @param {number} dx @param {number} dy steps @param {boolean} fast */
  const moveCrosshair = (dx, dy, fast) => {
    const state = store.get();
    const { view, viewport, crosshair, penDown } = state;
    if (!state.image) return;
    const { width, height } = canvasOf(state);
    const from = crosshair ?? toImage(view, { x: viewport.width / 2, y: viewport.height / 2 });
    const step = (STEP_PX * (fast ? FAST_STEPS : 1)) / view.scale;
    const to = {
      x: Math.min(width, Math.max(0, from.x + dx * step)),
      y: Math.min(height, Math.max(0, from.y + dy * step)),
    };
    store.update({ crosshair: to });
    if (penDown) {
      sketch?.move([to]);
      draw();
    }
    followCrosshair(to);
  };

  /** @param {ImagePoint} point */
  const followCrosshair = (point) => {
    const { view, viewport } = store.get();
    const seen = toScreen(view, point);
    const off = (/** @type {number} */ value, /** @type {number} */ room) =>
      value < 80 ? 80 - value : value > room - 80 ? room - 80 - value : 0;
    const [dx, dy] = [off(seen.x, viewport.width), off(seen.y, viewport.height)];
    if (dx || dy) setView(pan(view, dx, dy));
  };

  /** Keys of an outline in the making. @param {KeyboardEvent} event @returns {boolean} whether it was one */
  const cornerKey = (event) => {
    const back = event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey));
    if (event.key === "Enter") endSketch(true);
    else if (back && sketch?.back?.()) draw();
    else if (back) endSketch(false);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };

  element.addEventListener("keydown", (event) => {
    const { crosshair, penDown } = store.get();
    if (sketch?.corner && cornerKey(event)) return;
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow && !event.ctrlKey && !event.metaKey && !event.altKey) moveCrosshair(arrow[0], arrow[1], event.shiftKey);
    else if (crosshair && (event.key === "Enter" || event.key === " ") && !event.repeat) {
      if (penDown) endSketch(true);
      else beginSketch(crosshair, false, false);
      store.update({ penDown: !penDown });
      ports.say(penDown ? t("Stroke ended.") : t("Stroke begun."));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  store.watch(
    (state) => state.view,
    () => {
      showRing();
      ports.invalidate("image");
      ports.invalidate("ink");
    },
  );
  store.watch(
    (state) => state.tool,
    () => {
      if (sketch?.corner) endSketch(false);
      showRing();
    },
  );
  store.watch((state) => state.prefs.brush, showRing);
  store.watch((state) => state.prefs.brushLocked, showRing);

  return {
    /** What the ink layer has to draw of the stroke being made. @returns {import("../tools/tools.js").Preview | null} */
    takeFresh() {
      const preview = sketch?.preview() ?? null;
      if (preview?.kind === "segment") segments.push(preview);
      return preview;
    },
    drawn: () => segments,
    /** @param {boolean} held */
    holdSpace(held) {
      spaceHeld = held;
      element.classList.toggle("panning", held);
      showRing();
    },
    setView,
    /** Cancels the stroke being made, or puts the crosshair away. @returns {boolean} whether there was one */
    cancel() {
      const had = sketch !== null || store.get().crosshair !== null;
      if (sketch) {
        gesture = { ...gesture, mode: "spent", owner: null, fingers: {} };
        endSketch(false);
        gesture = { ...IDLE, penSeen: gesture.penSeen };
      }
      store.update({ crosshair: null, penDown: false });
      return had;
    },
  };
}

/** Where the last stroke ended. @param {State} state @returns {ImagePoint | null} */
function lastPoint(state) {
  const last = documentOf(state).draft.findLast((shape) => shape.kind === "stroke");
  if (last?.kind !== "stroke") return null;
  return decodePoints(last.p).at(-1) ?? null;
}
