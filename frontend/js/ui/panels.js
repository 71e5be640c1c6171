/** The panels: models with their options, settings, the list of photos, the help. Their forms are made from data. */

import { COMMANDS, GESTURES, showKey } from "../core/commands.js";
import { formatBytes, licenceFacts } from "../core/protocol.js";
import { downloadable, downloadPercent, wantedModel, workingModel } from "../core/state.js";
import { find, findInput, make, setText } from "./dom.js";
import { t } from "./i18n.js";
import { onMac } from "./toolbar.js";

/** How often the list is looked at again while it is open: a model may be loaded or make room for another. */
const WATCH_MS = 2000;

/**
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/state.js").Prefs} Prefs
 * @typedef {import("../core/state.js").ModelInfo} ModelInfo
 * @typedef {import("../core/store.js").Store<State>} Store
 */

/** @param {Store} store @param {{download: (name: string) => void, refresh: () => void}} acts */
export function createOptions(store, acts) {
  const list = find("models");
  const setPrefs = prefsOf(store);

  const showButton = () => {
    const model = workingModel(store.get());
    setText(find("model-title"), model?.title ?? t("No model"));
    setText(find("model-tagline"), model?.tagline ?? "");
    find("model").setAttribute("aria-label", t("Model and options: {model}", { model: model?.title ?? t("No model") }));
  };

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
    showButton();
    showModels();
    showOptions();
  });
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let watching;
  find("options").addEventListener("toggle", (event) => {
    clearInterval(watching);
    if (/** @type {ToggleEvent} */ (event).newState !== "open") return;
    acts.refresh();
    watching = setInterval(() => store.get().reachable && acts.refresh(), WATCH_MS);
  });
  find("options-form").addEventListener("submit", (event) => event.preventDefault());
}

/** @param {Store} store @returns {(change: Partial<Prefs>) => void} */
const prefsOf = (store) => (change) => store.update((state) => ({ prefs: { ...state.prefs, ...change } }));

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
    make("span", { class: "facts", text: model.description }),
    make("span", { class: "facts", text: facts }),
  );
  if (model.reason) choice.append(make("span", { class: "facts", text: t(model.reason) }));
  if (model.problem?.detail) choice.append(make("span", { class: "facts", text: model.problem.detail }));
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
      class: "link",
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
  const shown = model.parameters.filter(({ kind }) => kind !== "text" && kind !== "picture");
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
      (strategy) => setPrefs({ strategy }),
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
  if (model.stochastic) {
    fields.push(
      numberField(t("Results per fill"), { value: prefs.resultsPerFill, min: 1, max: 8, step: 1 }, (text) =>
        setPrefs({ resultsPerFill: Math.max(1, Number(text)) }),
      ),
    );
  }
  return fields;
}

let fieldCount = 0;

/** @param {string} label @param {HTMLElement} control @param {string} [help] */
function field(label, control, help = "") {
  fieldCount += 1;
  control.id = `field-${fieldCount}`;
  const row = make("div", { class: "field" }, make("label", { for: control.id, text: label }), control);
  if (help) {
    row.append(make("span", { class: "help", id: `${control.id}-help`, text: help }));
    control.setAttribute("aria-describedby", `${control.id}-help`);
  }
  return row;
}

/** @param {import("../core/protocol.js").Parameter} parameter @param {import("../core/protocol.js").ParamValue} value @param {(value: import("../core/protocol.js").ParamValue) => void} set */
function parameterField(parameter, value, set) {
  const label = parameter.name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
  const help = parameter.help ?? "";
  if (parameter.kind === "bool") return switchField(label, Boolean(value), set, help);
  if (parameter.kind === "choice") return choiceField(label, parameter.choices ?? [], String(value), set, {}, help);
  const bounds = {
    ...(parameter.minimum == null ? {} : { min: parameter.minimum }),
    ...(parameter.maximum == null ? {} : { max: parameter.maximum }),
    step: parameter.kind === "int" ? 1 : "any",
  };
  return numberField(
    label,
    { value: Number(value), ...bounds },
    (text) => set(text === "" ? parameter.default : Number(text)),
    help,
  );
}

/** @param {string} label @param {Record<string, string | number>} attributes @param {(text: string) => void} set @param {string} [help] */
function numberField(label, attributes, set, help) {
  const input = make("input", {
    type: "number",
    inputmode: "decimal",
    ...attributes,
    onchange: () => {
      if (input.checkValidity()) set(input.value);
      else input.reportValidity();
    },
  });
  return field(label, input, help);
}

/** @param {string} label @param {readonly string[]} choices @param {string} value @param {(value: string) => void} set @param {Readonly<Record<string, string>>} [names] @param {string} [help] */
function choiceField(label, choices, value, set, names = {}, help = "") {
  const options = choices.map((choice) =>
    make("option", { value: choice, text: names[choice] ?? choice, selected: choice === value }),
  );
  const select = make("select", { onchange: () => set(select.value) }, ...options);
  return field(label, select, help);
}

/** @param {string} label @param {boolean} value @param {(value: boolean) => void} set @param {string} [help] */
function switchField(label, value, set, help) {
  const input = make("input", { type: "checkbox", role: "switch", checked: value, onchange: () => set(input.checked) });
  return field(label, input, help);
}

/** @param {Store} store */
export function createSettings(store) {
  const set = prefsOf(store);
  const { prefs, config } = store.get();
  const themes = { system: t("As the system"), light: t("Light"), dark: t("Dark") };
  const inks = { tint: t("Tint"), hatch: t("Stripes") };
  const wheels = { auto: t("Automatic"), zoom: t("Zooms"), pan: t("Moves") };
  find("settings-form").replaceChildren(
    choiceField(
      t("Theme"),
      Object.keys(themes),
      prefs.theme,
      (theme) => set({ theme: /** @type {Prefs["theme"]} */ (theme) }),
      themes,
    ),
    choiceField(
      t("What is painted"),
      Object.keys(inks),
      prefs.ink,
      (ink) => set({ ink: /** @type {Prefs["ink"]} */ (ink) }),
      inks,
    ),
    choiceField(
      t("Wheel"),
      Object.keys(wheels),
      prefs.wheel,
      (wheel) => set({ wheel: /** @type {Prefs["wheel"]} */ (wheel) }),
      wheels,
    ),
    switchField(t("Brush grows with zoom"), prefs.brushLocked, (brushLocked) => {
      const { view, prefs: now } = store.get();
      set({ brushLocked, brush: brushLocked ? now.brush / view.scale : now.brush * view.scale });
    }),
    switchField(t("Fill on release"), prefs.auto, (auto) => set({ auto })),
    ...(config.settings?.quick_look
      ? [switchField(t("Quick look while a slow model works"), prefs.quickLook, (quickLook) => set({ quickLook }))]
      : []),
    switchField(t("Single-letter keys"), prefs.singleKeys, (singleKeys) => set({ singleKeys })),
  );
  find("settings-form").addEventListener("submit", (event) => event.preventDefault());
  setText(find("about"), `lama-server ${config.version}`);
  store.watch(
    (state) => state.prefs.theme,
    (theme) => {
      if (theme === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = theme;
    },
  );
  const auto = findInput("auto");
  auto.addEventListener("change", () => set({ auto: auto.checked }));
  store.watch(
    (state) => state.prefs.auto,
    (on) => {
      auto.checked = on;
      const twin = /** @type {HTMLInputElement | null} */ (
        [...find("settings-form").querySelectorAll("input")].find(
          (input) => input.closest(".field")?.textContent === t("Fill on release"),
        ) ?? null
      );
      if (twin) twin.checked = on;
    },
  );
}

/** @param {Store} store @param {(at: number) => void} open */
export function createGallery(store, open) {
  store.watch(
    (state) => state.image,
    (image) => {
      find("file").hidden = image === null;
      if (!image) return;
      const { items, at } = store.get().gallery;
      setText(find("file-name"), items.length > 1 ? `${image.name} (${at + 1}/${items.length})` : image.name);
      setText(
        find("file-size"),
        [`${image.width} × ${image.height}`, formatBytes(image.bytes)].filter(Boolean).join(" · "),
      );
      document.title = `${image.name} · lama-server`;
    },
  );
  store.watch(
    (state) => state.gallery,
    ({ items, at }) => {
      const rows = items.map((item, i) =>
        make(
          "li",
          {},
          make("button", {
            type: "button",
            class: "quiet",
            "aria-current": String(i === at),
            "aria-pressed": String(i === at),
            text: item.name,
            onclick: () => {
              find("gallery").hidePopover();
              open(i);
            },
          }),
        ),
      );
      find("photos").replaceChildren(...rows);
    },
  );
}

/** @returns {() => void} shows the help */
export function createHelp() {
  const dialog = /** @type {HTMLDialogElement} */ (find("help"));
  const groups = new Map(COMMANDS.map(({ group }) => [group, COMMANDS.filter((command) => command.group === group)]));
  const sections = [...groups].map(([group, commands]) => {
    const rows = commands.flatMap(({ label, keys }) => [
      make("dt", { text: t(label) }),
      make("dd", {}, ...keys.flatMap((key, i) => [i > 0 ? " " : "", make("kbd", { text: showKey(key, onMac) })])),
    ]);
    return make("section", {}, make("h3", { text: t(group) }), make("dl", {}, ...rows));
  });
  const gestures = GESTURES.flatMap(([gesture, meaning]) => [
    make("dt", { text: t(gesture) }),
    make("dd", { text: t(meaning) }),
  ]);
  find("help-body").replaceChildren(
    ...sections,
    make("section", {}, make("h3", { text: t("Gestures") }), make("dl", { class: "gestures" }, ...gestures)),
  );
  return () => dialog.showModal();
}
