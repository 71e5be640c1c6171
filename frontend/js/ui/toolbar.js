/** Buttons that stand for commands: name, key, whether they can be pressed and whether they are; and the brush's size. */

import { commandById, enabled, showKey } from "../core/commands.js";
import { redoLabel, undoLabel } from "../core/history.js";
import {
  brushDiameter,
  brushes,
  brushRange,
  documentOf,
  marks,
  paints,
  selects,
  takesSource,
  takesWords,
  workingModel,
} from "../core/state.js";
import { find, findInput, setText } from "./dom.js";
import { count, t } from "./i18n.js";

export const onMac = /Mac|iP(hone|ad|od)/.test(navigator.platform);

/** @typedef {import("../core/state.js").State} State */

/**
 * @param {import("../core/store.js").Store<State>} store
 * @param {(id: string) => void} run @param {import("./keys.js").Actions} actions
 * @param {() => void} sized  the brush's size was changed by its slider
 */
export function createToolbar(store, run, actions, sized) {
  const buttons = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("button[data-command]")]);
  for (const button of buttons) wire(button, run, actions);
  for (const label of document.querySelectorAll("kbd[data-key]")) {
    label.textContent = showKey(/** @type {HTMLElement} */ (label).dataset.key ?? "", onMac);
  }

  const refresh = () => {
    const state = store.get();
    for (const button of buttons) {
      const id = button.dataset.command ?? "";
      button.disabled = !enabled(commandById(id), state);
      const pressed = pressedState(id, state, button.classList.contains("tool"));
      if (pressed !== null) button.setAttribute("aria-pressed", String(pressed));
    }
    showRun(state);
    showOptions(state);
  };
  store.follow(
    [workingModel, takesWords, timelineOf, imageOf, jobsOf, toolOf, compareOf, selectedOf, armedOf, crosshairOf],
    refresh,
  );

  store.watch(timelineOf, (timeline) => {
    describe("undo", undoLabel(timeline));
    describe("redo", redoLabel(timeline));
  });
  brushSize(store, sized);
  zoomReadout(store, run);
}

/** @param {State} state */
const timelineOf = (state) => state.timeline;
/** @param {State} state */
const imageOf = (state) => state.image;
/** @param {State} state */
const jobsOf = (state) => state.jobs;
/** @param {State} state */
const toolOf = (state) => state.tool;
/** @param {State} state */
const compareOf = (state) => state.compare;
/** @param {State} state */
const selectedOf = (state) => state.selected;
/** @param {State} state */
const armedOf = (state) => state.armed;
/** @param {State} state */
const crosshairOf = (state) => state.crosshair !== null;

/** @param {HTMLButtonElement} button @param {(id: string) => void} run @param {import("./keys.js").Actions} actions */
function wire(button, run, actions) {
  const command = commandById(button.dataset.command ?? "");
  const name = t(command.label);
  const keys = command.keys.map((key) => showKey(key, onMac));
  const words = button.querySelector("span:not([aria-hidden])");
  if (!words) button.setAttribute("aria-label", name);
  button.dataset.tip = `${name}  ${keys[0] ?? ""}`.trim();
  if (button.classList.contains("item")) button.append(key(keys[0]));
  button.setAttribute(
    "aria-keyshortcuts",
    command.keys.map((each) => each.replace("Mod", onMac ? "Meta" : "Control")).join(" "),
  );
  const action = actions[command.id];
  if (typeof action === "function") {
    button.addEventListener("click", (event) => {
      // Pressed with a pointer, a button has done its work: keys belong to the photo again.
      if (event.detail > 0 && !button.closest("[popover]")) find("stage").focus({ preventScroll: true });
      /** @type {HTMLElement | null} */ (button.closest("[popover]"))?.hidePopover();
      run(command.id);
    });
    return;
  }
  button.addEventListener("pointerdown", (event) => {
    button.setPointerCapture(event.pointerId);
    action.start();
  });
  for (const end of ["pointerup", "pointercancel", "blur"]) button.addEventListener(end, () => action.stop());
  button.addEventListener("keydown", (event) => {
    if ((event.key === " " || event.key === "Enter") && !event.repeat) action.start();
  });
  button.addEventListener("keyup", () => action.stop());
}

/** @param {string} text */
function key(text) {
  const element = document.createElement("kbd");
  element.textContent = text;
  return element;
}

/** @param {string} id @param {State} state @param {boolean} rail where it stands for both @returns {boolean | null} null: not a switch */
function pressedState(id, state, rail) {
  if (id === "tool-paint") return paints(state.tool);
  if (id === "tool-snap" && rail) return selects(state.tool);
  if (id === "tool-source" && rail) return marks(state.tool) !== null;
  if (id.startsWith("tool-")) return state.tool === id.slice(5);
  if (id === "compare") return state.compare.mode === "hold";
  if (id === "compare-slider") return state.compare.mode === "slider";
  return null;
}

/** @param {string} id @param {string} label */
function describe(id, label) {
  const button = /** @type {HTMLElement | null} */ (document.querySelector(`.bar [data-command="${id}"]`));
  const command = commandById(id);
  if (!button) return;
  const name = label ? `${t(command.label)}: ${t(label)}` : t(command.label);
  button.setAttribute("aria-label", name);
  button.dataset.tip = `${name}  ${showKey(command.keys[0], onMac)}`;
}

/** @param {State} state */
function showRun(state) {
  const { draft } = documentOf(state);
  const waits = draft.length > 0 && state.jobs.length === 0 && !state.armed;
  find("run").hidden = !waits || takesWords(state);
  find("waiting").hidden = !waits;
  const words = takesWords(state)
    ? count(draft.length, "1 stroke to fill", "{n} strokes to fill")
    : count(draft.length, "1 stroke to remove", "{n} strokes to remove");
  setText(find("run-text"), words);
}

/** The options of the tool that is chosen. @param {State} state */
function showOptions(state) {
  const { tool } = state;
  find("shapes").hidden = !paints(tool);
  find("size").hidden = !brushes(tool);
  find("sources").hidden = !marks(tool);
  find("source-tool").hidden = !takesSource(state);
  find("move-words").hidden = tool !== "hand";
  find("pill").dataset.tool = tool;
}

/** Brush size in equal steps for the eye: the range is logarithmic. @param {import("../core/store.js").Store<State>} store @param {() => void} sized */
function brushSize(store, sized) {
  const range = findInput("brush-size");
  const ends = () => brushRange(store.get().prefs).map(Math.log);
  range.addEventListener("input", () => {
    const [least, most] = ends();
    const brush = Math.exp(least + ((most - least) * Number(range.value)) / 100);
    store.update((state) => ({ prefs: { ...state.prefs, brush } }));
    sized();
  });
  const show = () => {
    const state = store.get();
    const [least, most] = ends();
    const at = (Math.log(state.prefs.brush) - least) / (most - least);
    range.value = String(Math.round(100 * at));
    range.style.setProperty("--at", `${100 * at}%`);
    range.parentElement?.style.setProperty("--k", String(Math.min(1, Math.max(0, at))));
    const pixels = t("{n} px", { n: Math.max(1, Math.round(brushDiameter(state))) });
    setText(find("brush-value"), pixels);
    range.setAttribute("aria-valuetext", pixels);
  };
  store.follow([(state) => state.prefs.brush, (state) => state.prefs.brushLocked, (state) => state.view.scale], show);
}

/** @param {import("../core/store.js").Store<State>} store @param {(id: string) => void} run */
function zoomReadout(store, run) {
  const button = find("zoom");
  const percent = () => Math.round(store.get().view.scale * (window.devicePixelRatio || 1) * 100);
  store.watch(
    (state) => state.view.scale,
    () => {
      setText(button, `${percent()} %`);
      button.setAttribute("aria-label", t("Zoom {n} %: fit or actual pixels", { n: percent() }));
    },
  );
  button.addEventListener("click", () => run(percent() === 100 ? "zoom-fit" : "zoom-100"));
}
