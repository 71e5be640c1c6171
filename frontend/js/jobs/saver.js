/**
 * Results into the server's output folder: the photo as it is shown, once nothing is under way. Of a fill with several
 * results only the chosen one: as soon as the person goes on, closes the results or leaves.
 *
 * @typedef {import("../core/state.js").State} State
 */

import { shownEdits } from "../core/document.js";
import { ApiError } from "../core/protocol.js";
import { documentOf, shownResult } from "../core/state.js";
import { API } from "../net/api.js";

/** @param {import("./jobs.js").Ports} ports */
export function createSaver({ store, api, health, complain, say, tell }) {
  const saveIfDue = () => {
    const state = store.get();
    if (state.jobs.length === 0 && state.queued.length === 0 && !isChoosing(state)) flush();
  };

  /** What is shown is saved, unless it was. */
  const flush = () => {
    const { image, config } = store.get();
    const shown = new Set(shownEdits(documentOf(store.get())));
    const lists = Object.entries(store.get().results);
    const due = lists.flatMap(([, list]) => list).some(({ edit, unsaved }) => unsaved && shown.has(edit));
    if (!due || !image?.id || !config.output_dir) return;
    const saved = lists.map(([key, list]) => [
      key,
      list.map((result) => (shown.has(result.edit) ? { ...result, unsaved: false } : result)),
    ]);
    store.update({ results: Object.fromEntries(saved) });
    void save(`${API}/images/${image.id}/save`, [...shown]);
  };

  /** @param {string} url @param {readonly string[]} edits @returns {Promise<void>} */
  const save = async (url, edits) => {
    try {
      const response = await api.post(url, { edits }, undefined, 0, true);
      const { name, reencoded } = await response.json();
      store.update({ savedAs: name });
      if (reencoded) tell(`Saved as ${name}.`, `The whole JPEG was encoded anew: ${reencoded}.`);
      else say(`Saved as ${name}.`);
    } catch (error) {
      if (error instanceof ApiError && error.code === "page.unreachable") {
        await health.back();
        return save(url, edits);
      }
      complain(error, () => void save(url, edits));
    }
  };

  store.follow([(state) => state.jobs, (state) => state.queued, documentOf, (state) => state.selected], saveIfDue);
  addEventListener("visibilitychange", () => document.hidden && flush());

  return { flush };
}

/** Whether the results of a fill are being looked through. @param {State} state */
function isChoosing(state) {
  const doc = documentOf(state);
  const edit = doc.edits.find(({ key }) => key === state.selected);
  return !!edit && !!shownResult(state, edit)?.unsaved && state.results[edit.key].length > 1 && doc.draft.length === 0;
}
