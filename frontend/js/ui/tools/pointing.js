/**
 * Pointing at things: a model shows the outline of what is under the pointer. A click holds it, more clicks add to it
 * or take from it, and Enter takes it into what is painted. Loaded with the tools that select.
 *
 * @typedef {import("../../core/shapes.js").Bitmap} Bitmap
 * @typedef {import("../../core/shapes.js").Op} Op
 * @typedef {import("../../core/shapes.js").Shape} Shape
 * @typedef {import("../../core/view.js").ImagePoint} ImagePoint
 * @typedef {import("../../core/view.js").Box} Box
 * @typedef {import("../../wire/wire.js").SelectRequest["prompts"][number]} Prompt
 * @typedef {import("./selecting.js").Ports} Ports
 */

import { canvasOf } from "../../core/canvas.js";
import { shownEdits } from "../../core/document.js";
import { decodePoints, encodePoints, rect, stroke } from "../../core/shapes.js";
import { documentOf } from "../../core/state.js";
import { toImage, union, visibleBox } from "../../core/view.js";
import { API } from "../../net/api.js";
import { OTHERS, rectangle } from "../../tools/tools.js";
import { ApiError } from "../../wire/protocol.js";
import { find, make } from "../dom.js";
import { t } from "../i18n.js";
import { downloadable, downloadPercent, licenceFacts } from "../models/licence.js";
import { drawProposal } from "./proposal.js";
import { take } from "./selecting.js";

/** In screen pixels: a press that moves by more draws a box; an answer about a place farther off is not shown. */
const DRAG_PX = 6;
const NEAR_PX = 24;
/** A view may be so much larger on a side than what is seen, and is not looked at anew. */
const ROOMY = 2;
const CANDIDATES = 3;
const POLL_MS = 1000;

OTHERS.point = (start, setting) => {
  const box = rectangle(start, setting);
  let end = start;
  return {
    move(more) {
      end = more[more.length - 1];
      box.move(more);
    },
    preview: box.preview,
    end: () => stroke([start, end], 1, setting.op),
  };
};

/** @param {ImagePoint} point @param {Op} op @returns {Prompt} */
export function pointPrompt(point, op) {
  const [x, y] = encodePoints([point]);
  return { kind: "point", op, x, y };
}

/**
 * What a press or a drag says: a box is only ever around a thing.
 * @param {Shape} shape the stroke from one to the other @param {Op} op @param {number} scale
 * @param {import("../../core/view.js").Size} canvas @returns {Prompt}
 */
export function markOf(shape, op, scale, canvas) {
  if (shape.kind !== "stroke") return pointPrompt({ x: 0, y: 0 }, op);
  const points = decodePoints(shape.p);
  const [start, end] = [points[0], points[points.length - 1]];
  if (Math.hypot(end.x - start.x, end.y - start.y) * scale < DRAG_PX) return pointPrompt(start, op);
  const box = op === "add" ? rect(start, end, canvas, op) : null;
  return box?.kind === "rect" ? box : { kind: "stroke", op, d: 1, p: shape.p };
}

/** What is looked at: the last view while it shows what is seen, and that not too small. @param {Box} seen @param {Box | null} last @param {boolean} pending */
export function viewFor(seen, last, pending) {
  if (!last) return seen;
  const whole = union([last, seen]);
  const inside = whole.width === last.width && whole.height === last.height;
  if (inside && (pending || Math.max(last.width / seen.width, last.height / seen.height) <= ROOMY)) return last;
  return pending ? whole : seen;
}

/**
 * @param {Ports & {download: (name: string) => void}} ports
 * @param {(shadow: readonly Bitmap[]) => void} offerShadow of a thing that was taken
 */
export function createPointer(ports, offerShadow) {
  const { store, api, messages } = ports;
  const [stage, options] = [find("stage"), find("found")];
  const canvas = make("canvas", { class: "proposal", "aria-hidden": "true" });
  stage.append(canvas);
  /** @type {any} the model that is pointed with, or that could be fetched */
  let model = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let polling;
  /** @type {Box | null} */
  let view = null;
  /** @type {Prompt[]} of the thing that is held */
  let marks = [];
  /** @type {Op} what the first of them was */
  let op = "add";
  /** @type {readonly Bitmap[]} */
  let found = [];
  /** @type {readonly Bitmap[]} of the first of them */
  let shadow = [];
  let at = 0;
  /** @type {ImagePoint | null} where the pointer is since the last question */
  let wanted = null;
  let hovering = false;
  let turn = 0;

  const able = () => /ready|loaded/.test(model?.state);
  const active = () => store.get().tool === "point";
  const show = () => drawProposal(canvas, found[at] ?? null, store.get().view, op);

  /**
   * @param {readonly Prompt[]} prompts @param {number} candidates @param {boolean} withShadow
   * @returns {Promise<{masks: Bitmap[], shadow: Bitmap[]}>}
   */
  const look = async (prompts, candidates, withShadow) => {
    const state = store.get();
    const seen = visibleBox(state.view, canvasOf(state), state.viewport);
    view = viewFor(seen, view, marks.length > 1);
    const [x, y] = [Math.floor(view.x), Math.floor(view.y)];
    const [w, h] = [Math.ceil(view.x + view.width) - x, Math.ceil(view.y + view.height) - y];
    const image = await ports.imageId();
    const parents = shownEdits(documentOf(state));
    const body = { image, parents, model: model.name, prompts, candidates, shadow: withShadow, view: { x, y, w, h } };
    const reply = await (await api.post(`${API}/select`, body, undefined, 1)).json();
    return { masks: [reply, ...reply.others].map(({ shapes }) => shapes[0]), shadow: reply.shadow };
  };

  /** @param {string} text @param {() => void} onclick @param {string} keys */
  const button = (text, onclick, keys) =>
    make("button", { type: "button", class: "button", text, onclick, "aria-keyshortcuts": keys, "data-tip": keys });

  const showButtons = () => {
    if (marks.length === 0) return options.replaceChildren();
    const others = found.length > 1 ? [button(t("Part or whole"), next, "Tab")] : [];
    options.replaceChildren(button(t("Take it"), accept, "Enter"), ...others, button(t("Drop it"), drop, "Escape"));
  };

  const drop = () => {
    turn++;
    [marks, found, at, wanted, op] = [[], [], 0, null, "add"];
    show();
    if (active()) showButtons();
    stage.focus({ preventScroll: true });
  };

  const accept = () => {
    const [mask, by, cast] = [found[at], op, at === 0 ? shadow : []];
    if (!mask) return;
    drop();
    take(ports, [{ ...mask, op: by }]);
    if (by === "add") offerShadow(cast);
  };

  const next = () => {
    at = (at + 1) % found.length;
    show();
    messages.say(t("{n} of {all}", { n: at + 1, all: found.length }));
    stage.focus({ preventScroll: true });
  };

  /** One question at a time, and never stopped: what was seen of the photo is of use for the next. */
  const hover = async () => {
    if (hovering || !able()) return;
    hovering = true;
    while (wanted && marks.length === 0 && active()) {
      const asked = wanted;
      wanted = null;
      const { masks } = await look([pointPrompt(asked, "add")], 1, false).catch(() => ({ masks: [] }));
      if (marks.length > 0 || !active()) break;
      const off = wanted ?? asked;
      const near = Math.hypot(off.x - asked.x, off.y - asked.y) * store.get().view.scale < NEAR_PX;
      found = near ? masks : [];
      at = 0;
      show();
    }
    hovering = false;
  };

  /** @param {Prompt} prompt */
  const hold = async (prompt) => {
    if (!(await ready())) return;
    const mine = ++turn;
    marks = [...marks, prompt];
    const { image } = store.get();
    try {
      const answer = await look(marks, CANDIDATES, op === "add");
      if (mine !== turn || image?.key !== store.get().image?.key) return;
      [found, shadow, at] = [answer.masks, answer.shadow, 0];
      show();
      showButtons();
      messages.say(t("Selected. Enter takes it, Escape drops it."));
    } catch (error) {
      if (mine !== turn) return;
      marks = marks.slice(0, -1);
      if (marks.length === 0) drop();
      messages.complain(error, null);
    }
  };

  /** @param {Op} by @param {(op: Op) => Prompt} prompt */
  const mark = (by, prompt) => {
    if (marks.length === 0) op = by;
    void hold(prompt(by === op ? "add" : "sub"));
  };

  /** Whether there is a model to point with; says what is missing. */
  const ready = async () => {
    if (able()) return true;
    const { models } = await api.json(`${API}/models`);
    const all = models.filter((/** @type {any} */ each) => each.gesture === "point");
    const rank = (/** @type {any} */ each) =>
      ["loaded", "ready", "downloading"].indexOf(each.state) + 1 || (downloadable(each) ? 4 : 5);
    all.sort((/** @type {any} */ a, /** @type {any} */ b) => rank(a) - rank(b) || a.download_bytes - b.download_bytes);
    model = all[0] ?? null;
    if (able()) showButtons();
    else if (model) offer();
    return able();
  };

  const offer = () => {
    clearTimeout(polling);
    if (model.state === "downloading") {
      const percent = downloadPercent(model);
      const text = `${model.title}: ${percent === null ? "…" : `${percent} %`}`;
      options.replaceChildren(make("span", { class: "muted small", text }));
      polling = setTimeout(() => active() && void ready().then(hover).catch(failed), POLL_MS);
      return;
    }
    options.replaceChildren();
    const values = { model: model.title, facts: licenceFacts(model, t).join(", ") };
    const get = downloadable(model) ? { label: t("Download"), act: fetchIt } : undefined;
    messages.tell(t("Pointing needs {model} ({facts}).", values), "", get);
    if (!get && model.problem) messages.complain(new ApiError(model.problem), null); // in full: it names a command
  };

  const fetchIt = () => {
    ports.download(model.name);
    model = { ...model, state: "downloading", progress: null };
    offer();
  };

  const failed = (/** @type {unknown} */ error) => messages.complain(error, null);

  /** @param {PointerEvent} event @returns {ImagePoint} */
  const placeOf = (event) => {
    const { left, top } = stage.getBoundingClientRect();
    return toImage(store.get().view, { x: event.clientX - left, y: event.clientY - top });
  };

  /** @param {ImagePoint} point */
  const pointAt = (point) => {
    if (marks.length > 0 || store.get().painting) return;
    wanted = point;
    if (able()) void hover();
  };

  stage.addEventListener("pointermove", (event) => {
    if (active() && event.pointerType !== "touch" && event.buttons === 0) pointAt(placeOf(event));
  });
  stage.addEventListener(
    "pointerdown",
    (event) => {
      if (!active() || !event.altKey || event.button !== 0) return;
      event.preventDefault(); // with Alt a drag would size the brush
      event.stopImmediatePropagation();
      const place = placeOf(event);
      mark("sub", (by) => pointPrompt(place, by));
    },
    true,
  );
  stage.addEventListener("pointerleave", () => {
    wanted = null;
    if (marks.length > 0 || !active()) return;
    found = [];
    show();
  });
  stage.addEventListener(
    "keydown",
    (event) => {
      if (!active() || event.ctrlKey || event.metaKey) return;
      const { crosshair } = store.get();
      const held = marks.length > 0;
      if (event.key === "Tab" && held && found.length > 1) next();
      else if (event.key === "Escape" && held) drop();
      else if (event.key === "Enter" && held && !event.altKey) accept();
      else if (crosshair && (event.key === "Enter" || event.key === " "))
        mark(event.altKey || event.shiftKey ? "sub" : "add", (by) => pointPrompt(crosshair, by));
      else return;
      event.preventDefault();
      event.stopImmediatePropagation();
    },
    true,
  );
  store.watch((state) => state.view, show, false);
  store.watch(
    (state) => state.crosshair,
    (crosshair) => active() && crosshair && pointAt(crosshair),
    false,
  );
  store.watch(
    (state) => state.image?.key,
    () => {
      view = null;
      drop();
    },
    false,
  );
  store.watch(
    (state) => state.tool,
    (tool, before) => {
      if (tool === "point") void ready().then(hover).catch(failed);
      else if (before === "point") drop();
    },
  );

  return {
    /** @param {Shape} shape what was drawn with the tool */
    point(shape) {
      const state = store.get();
      mark(shape.op, (by) => markOf(shape, by, state.view.scale, canvasOf(state)));
    },
  };
}
