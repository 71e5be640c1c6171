/** All models: which there are, what state each is in, and what may be done with its results. */

import { wantedModel } from "../../core/state.js";
import { whyNot } from "../../wire/explain.js";
import { formatBytes } from "../../wire/protocol.js";
import { find, make } from "../dom.js";
import { t } from "../i18n.js";
import { prefsOf } from "../panels/fields.js";
import { downloadable, downloadPercent, licenceFacts } from "./licence.js";

/**
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Prefs} Prefs
 * @typedef {import("../../core/state.js").ModelInfo} ModelInfo
 * @typedef {import("../../core/store.js").Store<State>} Store
 */

/** @param {Store} store @param {(name: string) => void} download */
export function createList(store, download) {
  const list = find("models");
  const setPrefs = prefsOf(store);
  /** Models of which more is being read. @type {Set<string>} */
  const unfolded = new Set();
  store.follow([(state) => state.models, (state) => wantedModel(state)?.name], () => {
    const state = store.get();
    keepingFocus(list, () =>
      list.replaceChildren(...state.models.map((model) => modelChoice(state, model, setPrefs, download, unfolded))),
    );
  });
}

/** Makes the radio buttons of a list anew; the one that had the focus has it again. @param {HTMLElement} list @param {() => void} make */
export function keepingFocus(list, make) {
  const focused = /** @type {HTMLInputElement | null} */ (
    list.contains(document.activeElement) ? document.activeElement : null
  )?.value;
  make();
  if (focused) /** @type {HTMLElement | null} */ (list.querySelector(`input[value="${CSS.escape(focused)}"]`))?.focus();
}

/** @param {State} state @param {ModelInfo} model @param {(change: Partial<Prefs>) => void} setPrefs @param {(name: string) => void} download @param {Set<string>} unfolded */
function modelChoice(state, model, setPrefs, download, unfolded) {
  const input = make("input", {
    type: "radio",
    name: "model",
    value: model.name,
    checked: wantedModel(state)?.name === model.name,
    disabled: model.state === "unavailable",
    onchange: () => setPrefs({ model: model.name }),
  });
  const choice = make(
    "label",
    { class: "choice" },
    input,
    make("span", {}, make("b", { text: model.title }), ` ${model.tagline ? `· ${t(model.tagline)}` : ""}`),
    stateOf(model, download),
    more(model, unfolded),
  );
  if (model.reason) choice.append(make("span", { class: "facts-line", text: t(model.reason) }));
  if (model.state === "failed" && model.problem)
    choice.append(make("span", { class: "facts-line", text: whyNot(model.problem) }));
  if (model.state === "downloading") {
    const percent = downloadPercent(model);
    choice.append(
      make("progress", {
        max: 100,
        "aria-label": t("Download of {model}", { model: model.title }),
        ...(percent === null ? {} : { value: percent }),
      }),
    );
  }
  return choice;
}

/** Its licence and size, and behind them what it is good for and what stands in its way. @param {ModelInfo} model @param {Set<string>} unfolded */
function more(model, unfolded) {
  const { name, description, problem, state } = model;
  const facts = [...licenceFacts(model, t), t("More")].join(" · ");
  const lines = [t(description), problem && state !== "failed" ? whyNot(problem) : ""].filter(Boolean);
  const details = make(
    "details",
    {
      class: "facts-line",
      open: unfolded.has(name),
      ontoggle: () => (details.open ? unfolded.add(name) : unfolded.delete(name)),
    },
    make("summary", { class: "licence", text: facts }),
    ...lines.map((text) => make("p", { text })),
  );
  return details;
}

/** @param {ModelInfo} model @param {(name: string) => void} download */
export function stateOf(model, download) {
  if (downloadable(model)) {
    const label = model.state === "failed" ? t("Try again") : t("Download");
    return make("button", {
      type: "button",
      class: "button link",
      text: label,
      "aria-label": `${label}: ${model.title}`,
      onclick: () => download(model.name),
    });
  }
  const words = {
    ready: "",
    loaded: [t("in memory"), formatBytes(model.memory_bytes)].filter(Boolean).join(", "),
    missing: t("not on the server"),
    failed: "",
    downloading: `${downloadPercent(model) ?? "…"} %`,
    unavailable: t("cannot run here"),
  };
  const text = words[model.state];
  return make("span", { class: "state tabular", text });
}
