/**
 * What was done, as a column of steps, and the drawer with the results of the selected one.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Result} Result
 * @typedef {import("../../core/document.js").Edit} Edit
 */

import { drawImageLayer } from "../../canvas/image-layer.js";
import { drawShape, setInk } from "../../canvas/ink-layer.js";
import { canvasOf, patchesOn } from "../../core/canvas.js";
import { unionBounds } from "../../core/shapes.js";
import { documentOf, findModel, shownResult, usable, workingModel } from "../../core/state.js";
import { around, fit, overlaps, visibleBox } from "../../core/view.js";
import { chooseResult, meeting } from "../../edits/choices.js";
import { find, findButton, icon, make, setText } from "../dom.js";
import { number, t, w } from "../i18n.js";
import { roving } from "../roving.js";
import { CHECKS } from "../viewer.js";

/** What the model saw, by the strategy that the result names, where it is not what one expects. @type {Readonly<Record<string, string>>} */
const AREAS = { resize: w("saw the whole photo, scaled"), original: w("saw the whole photo") };

/** Sizes of pictures, in CSS pixels. */
const TILE = { width: 132, height: 132 };
const STEP = { width: 76, height: 76 };
const NO_INSETS = Object.freeze({ top: 0, right: 0, bottom: 0, left: 0 });
const MOST_ENLARGED = 8;
const MOST_DPR = 2;

/**
 * @param {import("../../core/store.js").Store<State>} store
 * @param {import("../../canvas/bitmaps.js").Bitmaps} bitmaps
 * @param {{choose: (key: string, edit: string) => void, again: (key: string, model: string) => void}} acts
 */
export function createResults(store, bitmaps, acts) {
  roving(find("fills"), "button");
  roving(find("results"), "button");
  const models = /** @type {HTMLSelectElement} */ (find("again-model"));

  const showSteps = () => {
    const state = store.get();
    find("fills").replaceChildren(originalStep(state), ...fills(state).map((edit, i) => stepButton(state, edit, i)));
  };

  /** The photo without what was done to it, while it is held. @param {State} state */
  const originalStep = (state) => {
    const button = make(
      "button",
      { type: "button", class: "fill", "aria-label": t("Show the original (hold)") },
      make("span", { class: "thumb" }, picture(state, [], STEP)),
      make("span", { text: t("Original"), "aria-hidden": "true" }),
    );
    const hold = (/** @type {"hold" | "off"} */ mode) => () =>
      store.update(({ compare }) => ({ compare: { ...compare, mode } }));
    button.addEventListener("pointerdown", hold("hold"));
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur", "keyup"])
      button.addEventListener(end, () => store.get().compare.mode === "hold" && hold("off")());
    button.addEventListener("keydown", ({ key, repeat }) => {
      if ((key === " " || key === "Enter") && !repeat) hold("hold")();
    });
    return make("li", {}, button);
  };

  /** @param {State} state @param {Edit} edit @param {number} i */
  const stepButton = (state, edit, i) => {
    const several = state.results[edit.key]?.length ?? 0;
    const thumb = make("span", { class: "thumb" }, picture(state, upTo(state, edit), STEP));
    if (several > 1) thumb.append(make("span", { class: "count", text: String(several), "aria-hidden": "true" }));
    const button = make(
      "button",
      {
        type: "button",
        class: "fill",
        "aria-current": String(state.selected === edit.key),
        "aria-label": t("Step {n}: show its results", { n: i + 1 }),
        onclick: () => store.update({ selected: store.get().selected === edit.key ? null : edit.key }),
      },
      thumb,
      make("span", { text: t("Step {n}", { n: i + 1 }), "aria-hidden": "true" }),
    );
    return make("li", {}, button);
  };

  const showDrawer = () => {
    const state = store.get();
    const edit = documentOf(state).edits.find((each) => each.key === state.selected);
    const drawer = find("drawer");
    drawer.hidden = !edit;
    if (!edit) return;
    const at = fills(state).indexOf(edit);
    setText(find("drawer-title"), t("Step {n}", { n: at + 1 }));
    const list = find("results");
    const focused = /** @type {HTMLElement | null} */ (
      list.contains(document.activeElement) ? document.activeElement : null
    )?.dataset.edit;
    const results = state.results[edit.key] ?? [];
    const tiles = results.map((result, i) => resultTile(state, edit, result, i));
    list.replaceChildren(...tiles, ...waitingTiles(state, edit.key));
    if (focused) tiles.find((tile) => tile.dataset.edit === focused)?.focus();
    const shown = shownResult(state, edit);
    showFacts(state, shown);
    find("more").hidden = !(shown && findModel(state, shown.model)?.stochastic);
    showModels(state, shown);
  };

  /** @param {State} state @param {Edit} edit @param {Result} result @param {number} i */
  const resultTile = (state, edit, result, i) => {
    const chosen = edit.chosen === result.edit;
    const name = make("span", { class: "name" }, t("Result {n}", { n: i + 1 }));
    if (chosen) name.append(icon("done"));
    return make(
      "button",
      {
        type: "button",
        class: "result",
        role: "radio",
        "aria-checked": String(chosen),
        tabindex: chosen ? 0 : -1,
        "data-edit": result.edit,
        "aria-label": t("Result {n}, by {model}", { n: i + 1, model: modelTitle(state, result.model) }),
        onclick: () => acts.choose(edit.key, result.edit),
        onpointerenter: (/** @type {PointerEvent} */ event) =>
          event.pointerType === "mouse" && peek(edit.key, result.edit),
        onpointerleave: () => peek(edit.key, null),
        onfocus: (/** @type {FocusEvent} */ event) => {
          const from = /** @type {HTMLElement | null} */ (event.relatedTarget);
          if (from?.classList.contains("result")) acts.choose(edit.key, result.edit); // an arrow key, as radio buttons do
        },
      },
      make("span", { class: "thumb" }, picture(state, upTo(state, edit), TILE, result)),
      name,
    );
  };

  /** Shows a result on the photo as long as the pointer is over its tile. @param {string} key @param {string | null} chosen */
  const peek = (key, chosen) =>
    store.update((state) => ({
      peek: chosen === null ? null : chooseResult(documentOf(state), key, chosen, meeting(state)),
    }));

  /** What was used for the result that is shown. @param {State} state @param {Result | null} result */
  const showFacts = (state, result) => {
    const rows = result
      ? [
          [t("Model"), modelTitle(state, result.model)],
          [t("Time"), t("{n} s", { n: number(result.ms / 1000, 1) })],
          ...(findModel(state, result.model)?.stochastic ? [[t("Seed"), String(result.seed)]] : []),
          ...Object.entries(result.params).map(([name, value]) => [name, String(value)]),
          ...(AREAS[result.strategy] ? [[t("Area"), t(AREAS[result.strategy])]] : []),
        ]
      : [];
    find("result-facts").replaceChildren(
      ...rows.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })]),
    );
  };

  /** @param {State} state @param {string} key */
  const waitingTiles = ({ jobs, models: known }, key) =>
    jobs
      .filter((job) => job.key === key)
      .flatMap((job) => job.runs)
      .filter((run) => run.status === "waiting" || run.status === "running")
      .map((run) => {
        const shown = run.preview
          ? make("img", { alt: "", src: run.preview })
          : make("span", { class: "waiting" }, run.status === "running" ? make("span", { class: "spinner" }) : "…");
        const title = known.find((model) => model.name === run.model)?.title ?? run.model;
        return make(
          "div",
          { class: "result" },
          make("span", { class: "thumb" }, shown),
          make("span", { class: "name muted", text: title }),
        );
      });

  /** @param {State} state @param {Result | null} shown */
  const showModels = (state, shown) => {
    const usableModels = state.models.filter(usable);
    const names = usableModels.map((model) => model.name).join();
    if (models.dataset.names === names) return;
    models.dataset.names = names;
    models.replaceChildren(...usableModels.map((model) => make("option", { value: model.name, text: model.title })));
    const other = usableModels.find((model) => model.name !== shown?.model) ?? workingModel(state);
    if (other) models.value = other.name;
  };

  /**
   * The place of the last edit with what is around it, and its hole outlined; all of the photo without an edit.
   * @param {State} state @param {readonly Edit[]} edits @param {import("../../core/view.js").Size} size
   * @param {Result} [result] of the last one, instead of that which is shown
   */
  const picture = (state, edits, size, result) => {
    const edit = edits.at(-1);
    const dpr = Math.min(MOST_DPR, devicePixelRatio);
    const element = make("canvas", { width: size.width * dpr, height: size.height * dpr });
    const { image } = state;
    if (!image) return element;
    const canvas = canvasOf(state, edits);
    const box = unionBounds(edit?.shapes ?? []) ?? { x: 0, y: 0, ...canvas };
    const view = edit ? around(box, canvas, size) : fit(canvas, size, NO_INSETS, MOST_ENLARGED);
    const seen = visibleBox(view, canvas, size);
    const all = patchesOn(state, edits, (each) => (each === edit && result) || shownResult(state, each));
    const patches = all.filter((patch) => overlaps(patch.box, seen));
    Promise.all(patches.map(({ name }) => bitmaps.ready(name))).then(() => {
      const context = element.getContext("2d");
      if (!context || image.key !== store.get().image?.key) return;
      context.setTransform(view.scale * dpr, 0, 0, view.scale * dpr, view.x * dpr, view.y * dpr);
      drawImageLayer(
        context,
        { view, viewport: size, dpr, now: performance.now() },
        {
          canvas,
          pyramid: bitmaps.pyramid(),
          tiles: null,
          patches: patches.map(({ box: place, name }) => ({ box: place, pixels: bitmaps.patch(name) })),
          split: null,
          surround: "transparent",
          checks: CHECKS,
          fadeMs: 0,
        },
      );
      if (edit) drawOutline(context, edit.shapes, view, dpr);
    });
    return element;
  };

  findButton("again").addEventListener("click", () => {
    const { selected } = store.get();
    if (selected) acts.again(selected, models.value);
  });
  const details = /** @type {HTMLElement} */ (find("result-facts").parentElement);
  details.addEventListener("toggle", () => details.scrollIntoView({ block: "nearest" }));
  findButton("drawer-close").addEventListener("click", () => {
    store.update({ selected: null });
    find("stage").focus();
  });

  store.follow([documentOf, resultsOf, selectedOf, (state) => state.image], showSteps);
  store.follow([documentOf, resultsOf, selectedOf, (state) => state.jobs, (state) => state.models], showDrawer);
  store.watch(documentOf, (doc) => {
    const { selected } = store.get();
    store.update({ peek: null });
    if (selected && !doc.edits.some((edit) => edit.key === selected)) store.update({ selected: null });
  });
}

/** What was filled, in order. @param {State} state */
const fills = (state) => documentOf(state).edits.filter(({ extend }) => !extend);
/** What was done until then. @param {State} state @param {Edit} edit */
const upTo = (state, { key }) => {
  const { edits } = documentOf(state);
  return edits.slice(0, edits.findIndex((each) => each.key === key) + 1);
};
/** @param {State} state */
const resultsOf = (state) => state.results;
/** @param {State} state */
const selectedOf = (state) => state.selected;

/** A white line around what was painted. @param {CanvasRenderingContext2D} context @param {readonly import("../../core/shapes.js").Shape[]} shapes @param {import("../../core/view.js").View} view @param {number} dpr */
function drawOutline(context, shapes, view, dpr) {
  const { width, height } = context.canvas;
  const line = new OffscreenCanvas(width, height);
  const brush = /** @type {CanvasRenderingContext2D} */ (/** @type {unknown} */ (line.getContext("2d")));
  const scale = view.scale * dpr;
  brush.setTransform(scale, 0, 0, scale, view.x * dpr, view.y * dpr);
  setInk(brush, "white");
  for (const shape of shapes) drawShape(brush, shape, shape.op === "add" ? (1.25 * dpr) / scale : 0);
  for (const shape of shapes) if (shape.op === "add") drawShape(brush, { ...shape, op: "sub" });
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(line, 0, 0);
}

/** @param {State} state @param {string} name */
export const modelTitle = (state, name) => findModel(state, name)?.title ?? name;
