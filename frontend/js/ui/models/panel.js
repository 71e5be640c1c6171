/** The panel "How to fill": kinds of models, all of them, and the options of the one that was chosen. */

import { find } from "../dom.js";
import { createKinds } from "./kinds.js";
import { createList } from "./list.js";
import { createTuning } from "./tuning.js";

/** How often the list is looked at again while it is open: a model may be loaded or make room for another. */
const WATCH_MS = 2000;

/**
 * @param {import("../../core/store.js").Store<import("../../core/state.js").State>} store
 * @param {{download: (name: string) => void, refresh: () => void}} acts
 */
export function createModelsPanel(store, acts) {
  createList(store, acts.download);
  createKinds(store, acts.download);
  createTuning(store);
  const panel = find("options");
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let watching;
  const watch = (/** @type {boolean} */ open) => {
    clearInterval(watching);
    if (!open) return;
    acts.refresh();
    watching = setInterval(() => store.get().reachable && acts.refresh(), WATCH_MS);
  };
  panel.addEventListener("toggle", (event) => watch(/** @type {ToggleEvent} */ (event).newState === "open"));
  watch(panel.matches(":popover-open"));
}
