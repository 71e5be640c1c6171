/**
 * Tools that point at a thing instead of painting it: what is drawn goes to the server, and comes back as a mask.
 * Loaded with the first of them.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/shapes.js").Shape} Shape
 * @typedef {import("../../core/shapes.js").Bitmap} Bitmap
 * @typedef {import("../../core/shapes.js").Op} Op
 * @typedef {import("../../core/shapes.js").Poly} Poly
 * @typedef {import("../../core/state.js").SelectTool} SelectTool
 * @typedef {import("../../wire/wire.js").SelectRequest["prompts"][number]} Prompt
 * @typedef {Pick<import("../panels/panels.js").Ports, "store" | "api" | "messages" | "imageId" | "step" | "strokesFreed">} Ports
 */

import { decoded } from "../../canvas/mask-layer.js";
import { addShape, shownEdits } from "../../core/document.js";
import { decodePoints, encodePoints, stroke } from "../../core/shapes.js";
import { documentOf, selects } from "../../core/state.js";
import { toImage, toScreen } from "../../core/view.js";
import { awaitFiner, refined } from "../../edits/refined.js";
import { API } from "../../net/api.js";
import { readLines } from "../../net/ndjson.js";
import { liveWire, REACH } from "../../tools/livewire.js";
import { OTHERS } from "../../tools/tools.js";
import { ApiError } from "../../wire/protocol.js";
import { t, w } from "../i18n.js";
import { createPointer } from "./pointing.js";
import { createShadowOffer } from "./shadow.js";

/** @type {Readonly<Record<SelectTool, "mark" | "trace" | "sample" | "point">>} */
const GESTURES = { point: "point", snap: "mark", magnet: "trace", wand: "sample" };
/** How far from an edge the outline may be drawn, in screen pixels. */
const TRACE_PX = 10;
const TOLERANCE = 24;
/** Colours may be off by one level more for each so many screen pixels that the wand is dragged. */
const PX_PER_LEVEL = 2;

/** Into what is painted, as one step. @param {Ports} ports @param {readonly Shape[]} shapes */
export function take({ step, strokesFreed }, shapes) {
  step(w("select"), (doc) => shapes.reduce(addShape, doc));
  strokesFreed();
}

/**
 * From a place to another: what counts is how far.
 * @param {import("../../core/view.js").ImagePoint} start @param {import("../../tools/tools.js").Setting} setting
 * @returns {import("../../tools/tools.js").Sketch}
 */
export function drag(start, setting) {
  let end = start;
  return {
    move(more) {
      end = more[more.length - 1];
    },
    preview: () => ({ kind: "outline", op: setting.op, points: [start, end] }),
    end: () => stroke([start, end], 1, setting.op),
  };
}
OTHERS.wand = drag;

/**
 * What the window shows around a place, in screen pixels.
 * @param {import("../../core/view.js").View} view @param {import("../../core/view.js").ImagePoint} at
 * @returns {import("../../tools/livewire.js").Window}
 */
function seenAround(view, at) {
  const photo = /** @type {HTMLCanvasElement} */ (document.querySelector("#stage .image-canvas"));
  const middle = toScreen(view, at);
  const [left, top] = [Math.floor(middle.x) - REACH, Math.floor(middle.y) - REACH];
  const side = 2 * REACH + 1;
  const dpr = photo.width / photo.clientWidth;
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
    new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true })
  );
  context.drawImage(photo, left * dpr, top * dpr, side * dpr, side * dpr, 0, 0, side, side);
  return {
    pixels: context.getImageData(0, 0, side, side),
    place(point) {
      const { x, y } = toScreen(view, point);
      return { x: x - left, y: y - top };
    },
    point: (x, y) => toImage(view, { x: left + x + 0.5, y: top + y + 0.5 }),
  };
}

/** @param {Ports & {download: (name: string) => void}} ports */
export function createSelecting(ports) {
  const { store, api, messages } = ports;
  const offerShadow = createShadowOffer(ports);
  const pointer = createPointer(ports, offerShadow);
  OTHERS.magnet = (start, setting) => liveWire(start, setting, (at) => seenAround(store.get().view, at));
  /** @type {AbortController | null} the newest question; an older one is not waited for */
  let asking = null;

  /** The ready model that is pointed at in this way. @param {SelectTool} tool */
  const modelFor = async (tool) => {
    const { models } = await api.json(`${API}/models`);
    const gesture = GESTURES[tool];
    return models.find((/** @type {any} */ model) => model.gesture === gesture && /ready|loaded/.test(model.state))
      ?.name;
  };
  /** @type {Map<SelectTool, Promise<string | undefined>>} */
  const names = new Map();
  /** @param {SelectTool} tool */
  const nameFor = (tool) => {
    const name = names.get(tool) ?? modelFor(tool);
    names.set(tool, name);
    return name;
  };
  /** Asked as soon as the tool is taken: a stroke is not to wait for it. @param {State["tool"]} tool */
  const prepare = (tool) => selects(tool) && tool !== "point" && nameFor(tool).catch(() => names.delete(tool));
  store.watch((state) => state.tool, prepare);

  /** @param {SelectTool} tool @param {Shape} shape */
  const ask = async (tool, shape) => {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    const state = store.get();
    const model = await nameFor(tool);
    const image = await ports.imageId();
    const body = { image, parents: shownEdits(documentOf(state)), model, ...question(tool, shape, state.view.scale) };
    const { body: lines } = await api.post(`${API}/select`, body, mine.signal, 1, false, "application/x-ndjson");
    let settle = () => {};
    const settled = new Promise((/** @type {(value: void) => void} */ resolve) => (settle = resolve));
    try {
      await receive(/** @type {ReadableStream<Uint8Array>} */ (lines), shape.op, state, mine, settled);
    } catch (error) {
      throw error instanceof ApiError ? error : api.gaveUp(error, mine.signal);
    } finally {
      settle();
    }
  };

  /**
   * The outline is painted as soon as it is there, and the mask takes its place.
   * @param {ReadableStream<Uint8Array>} body @param {Op} op @param {State} state when it was asked for
   * @param {AbortController} mine @param {Promise<void>} settled when this is over
   */
  const receive = async (body, op, { image }, mine, settled) => {
    /** @type {Poly | null} */
    let outline = null;
    for await (const text of readLines(body)) {
      const line = JSON.parse(text);
      if (mine.signal.aborted || image?.key !== store.get().image?.key) return mine.abort();
      if (line.type === "error") throw new ApiError(line.problem);
      if (line.type === "outline" && !outline) {
        if (asking === mine) asking = null; // the next question does not take this one back
        outline = /** @type {Poly} */ ({ ...line.shapes[0], op });
        awaitFiner(outline, settled);
        take(ports, [outline]);
        messages.say(t("Selected."));
      } else if (line.type === "selected") return taken(line, op, outline);
    }
    throw new Error("The stream ended early.");
  };

  /** @param {import("../../wire/wire.js").SelectedEvent} line @param {Op} op @param {Poly | null} outline that is painted already */
  const taken = async (line, op, outline) => {
    const masks = line.shapes.map((mask) => /** @type {Bitmap} */ ({ ...mask, op }));
    if (outline) {
      const scale = store.get().view.scale * devicePixelRatio;
      await Promise.all(masks.map((mask) => decoded(mask, scale))); // one does not vanish before the other is seen
      store.update(({ timeline }) => ({ timeline: refined(timeline, outline, masks) }));
    } else {
      take(ports, masks);
      messages.say(t("Selected."));
    }
    if (op === "add" && documentOf(store.get()).draft.includes(masks[0]))
      offerShadow(/** @type {Bitmap[]} */ (line.shadow));
  };

  return {
    /** @param {Shape} shape what was drawn with the tool in hand */
    select(shape) {
      const { tool } = store.get();
      if (tool === "point") pointer.point(shape);
      else if (selects(tool)) this.with(tool, shape);
    },
    /** @param {SelectTool} tool @param {Shape} shape */
    with(tool, shape) {
      ask(tool, shape).catch((error) => {
        names.delete(tool);
        store.update(({ view }) => ({ view: { ...view } })); // what was drawn is not painted: draw without it
        if (error?.name !== "AbortError") messages.complain(error, () => this.with(tool, shape));
      });
    },
  };
}

/**
 * What is asked of the server: that something is taken away is said of the answer, and not of the prompt.
 * @param {SelectTool} tool @param {Shape} shape @param {number} scale screen pixels of one of the photo
 * @returns {{prompts: Prompt[], params?: Record<string, number>, shadow?: boolean}}
 */
export function question(tool, shape, scale) {
  if (shape.kind !== "stroke" && shape.kind !== "poly") return { prompts: [] };
  const points = decodePoints(shape.p);
  if (tool === "magnet") {
    const p = encodePoints([...points, points[0]]);
    return { prompts: [{ kind: "stroke", op: "add", d: Math.max(1, TRACE_PX / scale), p }] };
  }
  if (tool === "snap" && shape.kind === "stroke") return { prompts: [{ ...shape, op: "add" }], shadow: true };
  const [start, end] = [points[0], points[points.length - 1]];
  const dragged = Math.hypot(end.x - start.x, end.y - start.y) * scale;
  const tolerance = dragged < 2 * PX_PER_LEVEL ? TOLERANCE : Math.min(255, Math.round(dragged / PX_PER_LEVEL));
  const [x, y] = encodePoints([start]);
  return { prompts: [{ kind: "point", op: "add", x, y }], params: { tolerance } };
}
