/** The options of the model that was chosen, in a panel of their own: a form made from what the server tells of it. */

import { promptOf, wantedModel } from "../../core/state.js";
import { find, findButton, setText } from "../dom.js";
import { t } from "../i18n.js";
import { choiceField, numberField, parameterField, prefsOf, switchField } from "../panels/fields.js";
import { nameOf } from "./kinds.js";

/**
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Prefs} Prefs
 * @typedef {import("../../core/state.js").ModelInfo} ModelInfo
 * @typedef {import("../../core/store.js").Store<State>} Store
 */

const LARGEST_SEED = 2 ** 32 - 1;
const MOST_EDGE_PX = 256;
const EDGE_SHOWN_MS = 1500;

/** @param {Store} store */
export function createTuning(store) {
  const setPrefs = prefsOf(store);
  let shownFor = "";
  store.follow([(state) => state.models, (state) => wantedModel(state)?.name], () => {
    const model = wantedModel(store.get());
    const signature = JSON.stringify([model?.name, model?.parameters, model?.strategies]);
    if (!model || signature === shownFor) return;
    shownFor = signature;
    const title = t("Options of {model}", { model: nameOf(model) });
    setText(findButton("tune").querySelector("span") ?? find("tune"), title);
    setText(find("tuning-title"), title);
    find("options-form").replaceChildren(...fieldsOf(store, model, setPrefs));
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hiding;
  find("options-form").addEventListener("input", ({ target }) => {
    const { name, value } = /** @type {HTMLInputElement} */ (target);
    if (name !== "growPx" && name !== "featherPx") return;
    const { growPx, featherPx } = store.get().prefs;
    const growth = growPx ?? wantedModel(store.get())?.grow_px ?? 0;
    store.update({ edge: { growPx: growth, featherPx, [name]: Math.min(MOST_EDGE_PX, Number(value)) } });
    clearTimeout(hiding);
    hiding = setTimeout(() => store.update({ edge: null }), EDGE_SHOWN_MS);
  });
  find("options-form").addEventListener("submit", (event) => event.preventDefault());
}

/** @param {Store} store @param {ModelInfo} model @param {(change: Partial<Prefs>) => void} setPrefs */
function fieldsOf(store, model, setPrefs) {
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
      (strategy) => setPrefs({ strategy: /** @type {import("../../wire/protocol.js").Strategy} */ (strategy) }),
      names,
    ),
    numberField(
      t("Grow the strokes (px)"),
      {
        name: "growPx",
        value: prefs.growPx ?? "",
        min: 0,
        max: MOST_EDGE_PX,
        step: 1,
        placeholder: String(model.grow_px),
      },
      (text) => setPrefs({ growPx: text === "" ? null : Number(text) }),
    ),
    numberField(
      t("Soft edge (px)"),
      { name: "featherPx", value: prefs.featherPx, min: 0, max: MOST_EDGE_PX, step: 1 },
      (text) => setPrefs({ featherPx: Number(text) }),
    ),
  );
  if (model.synthesises) {
    fields.push(switchField(t("Match grain and colour"), prefs.finish, (finish) => setPrefs({ finish })));
  }
  if (model.stochastic) {
    fields.push(
      numberField(
        t("Seed"),
        {
          value: prefs.seeds[model.name] ?? "",
          min: 0,
          max: LARGEST_SEED,
          step: 1,
          placeholder: t("another each time"),
        },
        (text) => {
          const { [model.name]: _before, ...seeds } = store.get().prefs.seeds;
          setPrefs({ seeds: text === "" ? seeds : { ...seeds, [model.name]: Number(text) } });
        },
        t("The same number gives the same result."),
      ),
      numberField(t("Results per fill"), { value: prefs.resultsPerFill, min: 1, max: 8, step: 1 }, (text) =>
        setPrefs({ resultsPerFill: Math.max(1, Number(text)) }),
      ),
    );
  }
  return fields;
}
