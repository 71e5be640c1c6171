/**
 * What each command does.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {object} Ports
 * @property {import("../core/store.js").Store<State>} store
 * @property {import("./filling.js").Filling} filling
 * @property {import("./looking.js").Looking} looking
 * @property {ReturnType<typeof import("../ui/input.js").createInput>} input
 * @property {() => ReturnType<typeof import("../ui/panels/panels.js").createPanels>} panels
 * @property {() => void} open  asks for files
 */

import { COMMANDS } from "../core/commands.js";
import { documentOf, marks, paints, takesSource } from "../core/state.js";
import { find } from "../ui/dom.js";

/** @param {Ports} ports @returns {import("../ui/keys.js").Actions} */
export function createActions({ store, filling, looking, input, panels, open }) {
  /** The shape that was painted with last. @type {State["tool"]} */
  let shape = "brush";
  store.watch(
    (state) => state.tool,
    (tool) => {
      if (paints(tool)) shape = tool;
    },
  );
  store.watch(takesSource, (takes) => !takes && marks(store.get().tool) && store.update({ tool: "brush" }));
  /** @param {State["tool"]} tool */
  const choosing = (tool) => () => store.update({ tool });
  /** @param {State["compare"]["mode"]} mode */
  const comparing = (mode) => store.update(({ compare }) => ({ compare: { ...compare, mode } }));
  const mode = () => store.get().compare.mode;

  const tools = COMMANDS.map(({ id }) => id).filter((id) => id.startsWith("tool-"));

  return {
    ...Object.fromEntries(tools.map((id) => [id, choosing(/** @type {State["tool"]} */ (id.slice(5)))])),
    "tool-paint": () => store.update({ tool: shape }),
    "tool-swap": () => store.update(({ tool }) => ({ tool: tool === "eraser" ? "brush" : "eraser" })),
    "brush-smaller": () => looking.sizeBrush(-1),
    "brush-larger": () => looking.sizeBrush(1),
    invert: filling.invert,
    clear: filling.clear,
    run: filling.fillNow,
    /** What Escape takes back, the nearest first. */
    cancel() {
      if (input.cancel() || filling.cancel()) return;
      if (mode() !== "off") comparing("off");
      else if (store.get().selected) store.update({ selected: null });
    },
    "cancel-last": filling.cancelLast,
    more: () => panels().choosing((acts) => acts.more()),
    "edit-mask": () => panels().choosing((acts) => acts.editMask()),
    "result-previous": () => panels().choosing((acts) => acts.next(-1)),
    "result-next": () => panels().choosing((acts) => acts.next(1)),
    drawer: () =>
      store.update((state) => ({ selected: state.selected ? null : (documentOf(state).edits.at(-1)?.key ?? null) })),
    undo: filling.undo,
    redo: filling.redo,
    compare: { start: () => comparing("hold"), stop: () => mode() === "hold" && comparing("off") },
    "compare-slider": () => comparing(mode() === "slider" ? "off" : "slider"),
    pan: { start: () => input.holdSpace(true), stop: () => input.holdSpace(false) },
    "zoom-fit": looking.fit,
    "zoom-100": looking.actualPixels,
    "zoom-in": () => looking.zoomBy(1.25),
    "zoom-out": () => looking.zoomBy(0.8),
    open,
    "photo-previous": () => panels().gallery((photos) => photos.step(-1)),
    "photo-next": () => panels().gallery((photos) => photos.step(1)),
    download: () => panels().download(),
    "save-as": () => find("save").showPopover(),
    copy: () => panels().copy(),
    help: () => panels().help(),
  };
}
