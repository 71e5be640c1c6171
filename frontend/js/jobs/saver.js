/**
 * Results into the server's output folder: the photo as it is shown, once nothing is under way. Of a fill with several
 * results only the chosen one: as soon as the person goes on, closes the results or leaves.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/state.js").Result} Result
 */

import { shownEdits } from "../core/document.js";
import { documentOf, shownResult } from "../core/state.js";
import { t } from "../core/words.js";
import { API } from "../net/api.js";
import { ApiError } from "../wire/protocol.js";

/** @param {import("./jobs.js").Ports} ports */
export function createSaver({ store, api, health, complain, say, tell }) {
  const saveIfDue = () => {
    const state = store.get();
    if (state.jobs.length === 0 && state.queued.length === 0 && !isChoosing(state)) flush();
  };

  /** @param {(result: Result) => Result["saving"]} saving */
  const mark = (saving) =>
    store.update(({ results }) => {
      const lists = Object.entries(results).map(([key, list]) => [
        key,
        list.map((result) => (saving(result) === result.saving ? result : { ...result, saving: saving(result) })),
      ]);
      return { results: Object.fromEntries(lists) };
    });

  /** What is shown is saved, if something of it is due. */
  const flush = () => {
    const { image, config, results } = store.get();
    const shown = new Set(shownEdits(documentOf(store.get())));
    const due = Object.values(results)
      .flat()
      .some(({ edit, saving }) => saving === "due" && shown.has(edit));
    if (!due || !image?.id || !config.output_dir) return;
    mark(({ edit, saving }) => (shown.has(edit) ? "done" : saving === "due" ? undefined : saving));
    void save(`${API}/images/${image.id}/save`, [...shown]);
  };

  /** @param {string} url @param {readonly string[]} edits @returns {Promise<void>} */
  const save = async (url, edits) => {
    try {
      const response = await api.post(url, { edits }, undefined, 0, true);
      const { name, reencoded } = await response.json();
      store.update({ savedAs: name });
      const saved = t("Saved as {name}", { name });
      if (reencoded) tell(saved, t("The whole JPEG was encoded anew: {reason}.", { reason: t(reencoded) }));
      else say(saved);
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

  return {
    flush,
    /** A result was chosen, by the person or as the first one. @param {string} chosen the server's id of it */
    choose(chosen) {
      if (store.get().config.output_dir) mark(({ edit, saving }) => (edit === chosen ? (saving ?? "due") : saving));
    },
  };
}

/** Whether the results of a fill are being looked through. @param {State} state */
function isChoosing(state) {
  const doc = documentOf(state);
  const edit = doc.edits.find(({ key }) => key === state.selected);
  if (!edit || doc.draft.length > 0) return false;
  return shownResult(state, edit)?.saving === "due" && state.results[edit.key].length > 1;
}
