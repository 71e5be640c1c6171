/** The models, and the options of the one that was chosen: a form made from what the server tells of it. */

import { formatBytes, licenceFacts } from "../../core/protocol.js";
import { downloadable, downloadPercent, promptOf, wantedModel } from "../../core/state.js";
import { find, make } from "../dom.js";
import { t } from "../i18n.js";
import { choiceField, numberField, parameterField, prefsOf, switchField } from "./fields.js";

/** How often the list is looked at again while it is open: a model may be loaded or make room for another. */
const WATCH_MS = 2000;

/**
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Prefs} Prefs
 * @typedef {import("../../core/state.js").ModelInfo} ModelInfo
 * @typedef {import("../../core/store.js").Store<State>} Store
 */

/** @param {Store} store @param {{download: (name: string) => void, refresh: () => void}} acts */
export function createOptions(store, acts) {
  const list = find("models");
  const setPrefs = prefsOf(store);

  const showModels = () => {
    const state = store.get();
    const focused = /** @type {HTMLInputElement | null} */ (
      list.contains(document.activeElement) ? document.activeElement : null
    )?.value;
    list.replaceChildren(...state.models.map((model) => modelChoice(state, model, setPrefs, acts.download)));
    if (focused)
      /** @type {HTMLElement | null} */ (list.querySelector(`input[value="${CSS.escape(focused)}"]`))?.focus();
  };

  let shownFor = "";
  const showOptions = () => {
    const state = store.get();
    const model = wantedModel(state);
    const signature = JSON.stringify([model?.name, model?.parameters, model?.strategies]);
    if (!model || signature === shownFor) return;
    shownFor = signature;
    find("options-form").replaceChildren(...optionFields(store, model, setPrefs));
  };

  store.follow([(state) => state.models, (state) => wantedModel(state)?.name], () => {
    showModels();
    showOptions();
  });
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let watching;
  const watch = (/** @type {boolean} */ open) => {
    clearInterval(watching);
    if (!open) return;
    acts.refresh();
    watching = setInterval(() => store.get().reachable && acts.refresh(), WATCH_MS);
  };
  find("options").addEventListener("toggle", (event) => watch(/** @type {ToggleEvent} */ (event).newState === "open"));
  watch(find("options").matches(":popover-open"));
  find("options-form").addEventListener("submit", (event) => event.preventDefault());
}

/** @param {State} state @param {ModelInfo} model @param {(change: Partial<Prefs>) => void} setPrefs @param {(name: string) => void} download */
function modelChoice(state, model, setPrefs, download) {
  const facts = licenceFacts(model, t).join(" · ");
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
    make("span", {}, make("b", { text: model.title }), ` ${model.tagline ? `· ${model.tagline}` : ""}`),
    stateOf(model, download),
    make("span", { class: "facts-line", text: model.description }),
    make("span", { class: "facts-line", text: facts }),
  );
  if (model.reason) choice.append(make("span", { class: "facts-line", text: t(model.reason) }));
  if (model.problem?.detail) choice.append(make("span", { class: "facts-line", text: model.problem.detail }));
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

/** @param {ModelInfo} model @param {(name: string) => void} download */
function stateOf(model, download) {
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

/** @param {Store} store @param {ModelInfo} model @param {(change: Partial<Prefs>) => void} setPrefs */
function optionFields(store, model, setPrefs) {
  const { prefs } = store.get();
  const set = prefs.params[model.name] ?? {};
  const shown = model.parameters.filter((each) => each !== promptOf(model) && each.kind !== "picture");
  const fields = shown.map((parameter) =>
    parameterField(parameter, set[parameter.name] ?? parameter.default, (value) => {
      const all = store.get().prefs.params;
      setPrefs({ params: { ...all, [model.name]: { ...all[model.name], [parameter.name]: value } } });
    }),
  );
  const strategies = ["default", ...model.strategies];
  const names = {
    default: t("Model's own ({name})", { name: model.strategy }),
    auto: t("Automatic"),
    crop: t("Around the strokes"),
    resize: t("Whole, scaled"),
    original: t("Whole, full size"),
  };
  fields.push(
    choiceField(
      t("Area the model sees"),
      strategies,
      strategies.includes(prefs.strategy) ? prefs.strategy : "default",
      (strategy) => setPrefs({ strategy: /** @type {import("../../core/protocol.js").Strategy} */ (strategy) }),
      names,
    ),
    numberField(
      t("Grow the strokes (px)"),
      { value: prefs.growPx ?? "", min: 0, max: 256, step: 1, placeholder: String(model.grow_px) },
      (text) => setPrefs({ growPx: text === "" ? null : Number(text) }),
    ),
    numberField(t("Soft edge (px)"), { value: prefs.featherPx, min: 0, max: 256, step: 1 }, (text) =>
      setPrefs({ featherPx: Number(text) }),
    ),
  );
  if (model.synthesises) {
    fields.push(switchField(t("Match grain and colour"), prefs.finish, (finish) => setPrefs({ finish })));
  }
  if (model.stochastic) {
    fields.push(
      numberField(t("Results per fill"), { value: prefs.resultsPerFill, min: 1, max: 8, step: 1 }, (text) =>
        setPrefs({ resultsPerFill: Math.max(1, Number(text)) }),
      ),
    );
  }
  return fields;
}
