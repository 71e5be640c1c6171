/** Models as people think of them: four kinds, each with a picture, what it is good for, and how long it takes here. */

import { usable, wantedModel } from "../../core/state.js";
import { formatBytes } from "../../wire/protocol.js";
import { find, icon, make } from "../dom.js";
import { number, t, w } from "../i18n.js";
import { prefsOf } from "../panels/fields.js";
import { downloadPercent } from "./licence.js";
import { keepingFocus, stateOf } from "./list.js";

/**
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").ModelInfo} ModelInfo
 * @typedef {import("../../core/store.js").Store<State>} Store
 * @typedef {Exclude<ModelInfo["kind"], "">} Kind
 */

/** @type {Readonly<Record<Kind, {name: string, purpose: string}>>} */
const KINDS = {
  quick: { name: w("Quick"), purpose: w("Wires, scratches, small things") },
  natural: { name: w("Natural"), purpose: w("Almost everything") },
  creative: { name: w("Creative"), purpose: w("Large holes; invents what could be there") },
  words: { name: w("Words"), purpose: w("Say what should be there") },
};

/** What people call a model: its kind, or its own name where it has none. @param {ModelInfo} model */
export const nameOf = (model) => (model.kind ? t(KINDS[model.kind].name) : model.title);

/**
 * The model that stands for a kind: the chosen one, else one that is ready, and of several one that was trained.
 * @param {State} state @param {Kind} kind @returns {ModelInfo | undefined}
 */
export function modelOf(state, kind) {
  const all = state.models.filter((model) => model.kind === kind && model.state !== "unavailable");
  const chosen = wantedModel(state);
  const trained = (/** @type {ModelInfo} */ model) => model.download_bytes > 0;
  return (
    all.find((model) => model === chosen) ??
    all.find((model) => usable(model) && trained(model)) ??
    all.find(usable) ??
    all.find(trained) ??
    all[0]
  );
}

/** @param {Store} store @param {(name: string) => void} download */
export function createKinds(store, download) {
  const list = find("kinds");
  const setPrefs = prefsOf(store);
  const show = () => {
    const state = store.get();
    const cards = /** @type {Kind[]} */ (Object.keys(KINDS)).flatMap((kind) => {
      const model = modelOf(state, kind);
      return model ? [card(state, kind, model, () => setPrefs({ model: model.name }), download)] : [];
    });
    keepingFocus(list, () => list.replaceChildren(...cards));
  };
  store.follow([(state) => state.models, (state) => wantedModel(state)?.name, (state) => state.prefs.timings], show);
  const all = find("all-models");
  const showAll = (/** @type {boolean} */ every) => {
    list.hidden = every;
    find("models").hidden = !every;
    all.setAttribute("aria-expanded", String(every));
  };
  all.addEventListener("click", () => showAll(list.hidden === false));
  all.hidden = list.children.length === 0;
  showAll(all.hidden);
}

/** @param {State} state @param {Kind} kind @param {ModelInfo} model @param {() => void} choose @param {(name: string) => void} download */
function card(state, kind, model, choose, download) {
  const { name, purpose } = KINDS[kind];
  const input = make("input", {
    type: "radio",
    name: "kind",
    value: kind,
    class: "unseen",
    checked: wantedModel(state) === model,
    onchange: choose,
  });
  const picture = make("img", { alt: "", src: new URL(`../../../samples/kind-${kind}.jpg`, import.meta.url).href });
  const made = make(
    "label",
    { class: `kind kind-${kind}` },
    input,
    make("span", { class: "thumb" }, picture, make("span", { class: "tick" }, icon("done"))),
    make("span", { class: "name" }, icon(kind), make("b", { text: t(name) })),
    make("span", { class: "small", text: t(purpose) }),
    make("span", { class: "small muted tabular", text: factsOf(state, model).join(" · ") }),
  );
  if (model.state === "downloading") {
    const value = downloadPercent(model);
    const label = t("Download of {model}", { model: model.title });
    made.append(make("progress", { max: 100, "aria-label": label, ...(value === null ? {} : { value }) }));
  } else if (!usable(model)) made.append(stateOf(model, download));
  return made;
}

/** How long it takes here, or what has to be fetched before. @param {State} state @param {ModelInfo} model */
function factsOf({ prefs }, model) {
  const ms = usualMs(prefs.timings, model.name);
  const time = ms === null ? t("not tried here yet") : t("{n} s here", { n: number(ms / 1000, ms < 10_000 ? 1 : 0) });
  if (usable(model)) return [time];
  const size = formatBytes(model.download_bytes);
  const fetched = model.progress && formatBytes(model.progress.done_bytes || 1);
  return [
    model.state === "downloading" && fetched
      ? t("{n} of {all}", { n: fetched, all: size })
      : t("{size} to get", { size }),
    model.licence.commercial_use ? "" : t("not for commercial use"),
  ].filter(Boolean);
}

/** The median of its last fills on this server. @param {import("../../jobs/eta.js").Timings} timings @param {string} name */
function usualMs(timings, name) {
  const [, times = []] = Object.entries(timings).findLast(([key]) => key.startsWith(`${name}/`)) ?? [];
  return times.length === 0 ? null : times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
}
