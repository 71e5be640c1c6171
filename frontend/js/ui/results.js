/**
 * The strip of fills at the bottom, and the drawer with the results of the selected one.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/state.js").Result} Result
 */

import { drawImageLayer } from "../canvas/image-layer.js";
import { documentOf, findModel, patchesOf, shownResult, usable, workingModel } from "../core/state.js";
import { around, union } from "../core/view.js";
import { find, findButton, make, roving, setText } from "./dom.js";
import { t } from "./i18n.js";
import { CHECKS } from "./viewer.js";

/** What the model saw, by the strategy that the result names, where it is not what one expects. @type {Readonly<Record<string, string>>} */
const AREAS = { resize: "saw the whole photo, scaled", original: "saw the whole photo" };

/** Of an result's picture, in CSS pixels. */
const TILE = { width: 110, height: 120 };
const MOST_DPR = 2;

/**
 * @param {import("../core/store.js").Store<State>} store
 * @param {import("../canvas/bitmaps.js").Bitmaps} bitmaps
 * @param {{choose: (key: string, edit: string) => void, again: (key: string, model: string) => void}} acts
 */
export function createResults(store, bitmaps, acts) {
  const settleStrip = roving(find("fills"), "button");
  roving(find("results"), "button");
  const models = /** @type {HTMLSelectElement} */ (find("again-model"));

  const showStrip = () => {
    const state = store.get();
    const { edits } = documentOf(state);
    const any = edits.length > 0;
    find("strip").hidden = !any;
    document.body.classList.toggle("has-strip", any);
    find("fills").replaceChildren(...edits.map((edit, i) => fillButton(state, edit, i)));
    settleStrip();
  };

  /** @param {State} state @param {import("../core/document.js").Edit} edit @param {number} i */
  const fillButton = (state, edit, i) => {
    const result = shownResult(state, edit);
    const several = state.results[edit.key]?.length ?? 0;
    const model = result ? modelTitle(state, result.model) : "";
    const button = make(
      "button",
      {
        type: "button",
        class: "fill",
        "aria-current": String(state.selected === edit.key),
        "aria-label": t("Fill {n}, {model}: show its results", { n: i + 1, model }),
        onclick: () => store.update({ selected: store.get().selected === edit.key ? null : edit.key }),
      },
      picture(result),
      make("span", { class: "tag", text: several > 1 ? `${model} · ${several}` : model }),
    );
    return make("li", {}, button);
  };

  const showDrawer = () => {
    const state = store.get();
    const edit = documentOf(state).edits.find((each) => each.key === state.selected);
    const drawer = find("drawer");
    drawer.hidden = !edit;
    if (!edit) return;
    const at = documentOf(state).edits.indexOf(edit);
    setText(find("drawer-title"), t("Results for fill {n}", { n: at + 1 }));
    const list = find("results");
    const focused = /** @type {HTMLElement | null} */ (
      list.contains(document.activeElement) ? document.activeElement : null
    )?.dataset.edit;
    const results = state.results[edit.key] ?? [];
    const tiles = results.map((result, i) => resultTile(state, edit, result, i));
    list.replaceChildren(...tiles, ...waitingTiles(state, edit.key));
    if (focused) tiles.find((tile) => tile.dataset.edit === focused)?.focus();
    const shown = shownResult(state, edit);
    find("more").hidden = !(shown && findModel(state, shown.model)?.stochastic);
    showModels(state, shown);
  };

  /** @param {State} state @param {import("../core/document.js").Edit} edit @param {Result} result @param {number} i */
  const resultTile = (state, edit, result, i) => {
    const chosen = edit.chosen === result.edit;
    const settings = Object.entries(result.params).map(([name, value]) => `${name} ${value}`);
    const stochastic = findModel(state, result.model)?.stochastic;
    const facts = [
      stochastic ? t("seed {n}", { n: result.seed }) : "",
      ...settings,
      AREAS[result.strategy] ? t(AREAS[result.strategy]) : "",
      `${(result.ms / 1000).toFixed(1)} s`,
    ].filter(Boolean);
    return make(
      "button",
      {
        type: "button",
        class: "result",
        role: "radio",
        "aria-checked": String(chosen),
        tabindex: chosen ? 0 : -1,
        "data-edit": result.edit,
        "aria-label": t("Result {n}: {model}, {facts}", {
          n: i + 1,
          model: modelTitle(state, result.model),
          facts: facts.join(", "),
        }),
        onclick: () => acts.choose(edit.key, result.edit),
        onfocus: (/** @type {FocusEvent} */ event) => {
          const from = /** @type {HTMLElement | null} */ (event.relatedTarget);
          if (from?.classList.contains("result")) acts.choose(edit.key, result.edit); // an arrow key, as radio buttons do
        },
      },
      excerpt(state, edit, result),
      make(
        "span",
        { class: "name" },
        make("b", { text: modelTitle(state, result.model) }),
        make("br", {}),
        make("span", { class: "muted", text: facts.join(" · ") }),
      ),
    );
  };

  /** @param {State} state @param {string} key */
  const waitingTiles = ({ job, models: known }, key) => {
    if (job?.key !== key) return [];
    return job.runs
      .filter((run) => run.status === "waiting" || run.status === "running")
      .map((run) => {
        const shown = run.preview
          ? make("img", { alt: "", src: run.preview })
          : make("span", { class: "waiting" }, run.status === "running" ? make("span", { class: "spinner" }) : "…");
        const title = known.find((model) => model.name === run.model)?.title ?? run.model;
        return make("div", { class: "result" }, shown, make("span", { class: "name muted", text: title }));
      });
  };

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
   * An result with what is around it, over the fills before.
   * @param {State} state @param {import("../core/document.js").Edit} edit @param {Result} result
   */
  const excerpt = (state, edit, result) => {
    const dpr = Math.min(MOST_DPR, devicePixelRatio);
    const canvas = make("canvas", { width: TILE.width * dpr, height: TILE.height * dpr });
    const { edits } = documentOf(state);
    const before = edits.slice(0, edits.indexOf(edit)).map((each) => shownResult(state, each));
    const shown = [...before, result].flatMap((each) => (each ? patchesOf(each) : []));
    Promise.all(shown.map(({ name }) => bitmaps.ready(name))).then(() => {
      const context = canvas.getContext("2d");
      if (!context || !state.image) return;
      const view = around(union(patchesOf(result).map(({ box }) => box)), state.image, TILE);
      context.setTransform(view.scale * dpr, 0, 0, view.scale * dpr, view.x * dpr, view.y * dpr);
      drawImageLayer(
        context,
        { view, viewport: TILE, dpr, now: performance.now() },
        {
          image: state.image,
          pyramid: bitmaps.pyramid(),
          patches: shown.map(({ box, name }) => ({ box, pixels: bitmaps.patch(name) })),
          split: null,
          surround: "transparent",
          checks: CHECKS,
          fadeMs: 0,
        },
      );
    });
    return canvas;
  };

  /** The largest patch, small. @param {Result | null} result */
  const picture = (result) => {
    const image = make("img", { alt: "" });
    if (result) {
      const [largest] = patchesOf(result).sort((a, b) => area(b) - area(a));
      bitmaps.thumbnail(largest.name).then((url) => {
        if (url) image.src = url;
      });
    }
    return image;
  };

  findButton("again").addEventListener("click", () => {
    const { selected } = store.get();
    if (selected) acts.again(selected, models.value);
  });
  findButton("drawer-close").addEventListener("click", () => {
    store.update({ selected: null });
    find("stage").focus();
  });

  store.follow([documentOf, resultsOf, selectedOf], showStrip);
  store.follow([documentOf, resultsOf, selectedOf, (state) => state.job, (state) => state.models], showDrawer);
  store.watch(documentOf, (doc) => {
    const { selected } = store.get();
    if (selected && !doc.edits.some((edit) => edit.key === selected)) store.update({ selected: null });
  });
}

/** @param {State} state */
const resultsOf = (state) => state.results;
/** @param {State} state */
const selectedOf = (state) => state.selected;

/** @param {{box: import("../core/view.js").Box}} patch */
const area = ({ box }) => box.width * box.height;

/** @param {State} state @param {string} name */
export const modelTitle = (state, name) => findModel(state, name)?.title ?? name;

/** The result `step` further on in the list, round its ends. @param {State} state @param {number} step */
export function neighbour(state, step) {
  const edit = documentOf(state).edits.find((each) => each.key === state.selected);
  const results = edit ? (state.results[edit.key] ?? []) : [];
  const at = results.findIndex((result) => result.edit === edit?.chosen);
  if (!edit || results.length < 2) return null;
  return { key: edit.key, edit: results[(at + step + results.length) % results.length].edit };
}
