/** Rows of a form: a label, a control, and a word of help. */

import { make } from "../dom.js";
import { t } from "../i18n.js";

/**
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../core/state.js").Prefs} Prefs
 */

/** @param {import("../../core/store.js").Store<State>} store @returns {(change: Partial<Prefs>) => void} */
export const prefsOf = (store) => (change) => store.update((state) => ({ prefs: { ...state.prefs, ...change } }));

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

/** @param {import("../../wire/protocol.js").Parameter} parameter @param {import("../../wire/protocol.js").ParamValue} value @param {(value: import("../../wire/protocol.js").ParamValue) => void} set */
export function parameterField(parameter, value, set) {
  const label = t(parameter.name.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase()));
  const help = t(parameter.help ?? "");
  if (parameter.kind === "bool") return switchField(label, Boolean(value), set, help);
  if (parameter.kind === "choice") return choiceField(label, parameter.choices ?? [], String(value), set, {}, help);
  if (parameter.kind === "text") return textField(label, parameter, String(value), set, help);
  const bounds = {
    ...(parameter.minimum == null ? {} : { min: parameter.minimum }),
    ...(parameter.maximum == null ? {} : { max: parameter.maximum }),
    step: parameter.kind === "int" ? 1 : "any",
  };
  return numberField(
    label,
    { value: Number(value), ...bounds },
    (text) => set(text === "" ? (parameter.default ?? "") : Number(text)),
    help,
  );
}

/** @param {string} label @param {import("../../wire/protocol.js").Parameter} parameter @param {string} value @param {(value: string) => void} set @param {string} help */
function textField(label, { max_length = 1000, placeholder = "" }, value, set, help) {
  const attributes = { maxlength: max_length, placeholder, value, autocomplete: "off" };
  const input = make("input", { ...attributes, onchange: () => set(input.value.trim()) });
  return field(label, input, help);
}

/** @param {string} label @param {Record<string, string | number>} attributes @param {(text: string) => void} set @param {string} [help] */
export function numberField(label, attributes, set, help) {
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
export function choiceField(label, choices, value, set, names = {}, help = "") {
  const options = choices.map((choice) =>
    make("option", { value: choice, text: names[choice] ?? choice, selected: choice === value }),
  );
  const select = make("select", { onchange: () => set(select.value) }, ...options);
  return field(label, select, help);
}

/** @param {string} label @param {boolean} value @param {(value: boolean) => void} set @param {string} [help] */
export function switchField(label, value, set, help) {
  const input = make("input", { type: "checkbox", role: "switch", checked: value, onchange: () => set(input.checked) });
  return field(label, input, help);
}
