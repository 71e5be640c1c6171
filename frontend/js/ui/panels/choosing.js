/**
 * What a person does with the results of a fill: choose another, look through them, ask for more.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {object} Ports
 * @property {import("../../core/store.js").Store<State>} store
 * @property {Pick<import("../../jobs/jobs.js").Jobs, "more" | "chosen">} jobs
 * @property {import("../messages.js").Messages} messages
 * @property {(label: string, change: (doc: import("../../core/document.js").Doc) => import("../../core/document.js").Doc, of?: string) => void} step
 * @property {() => void} strokesFreed  strokes are back that were filled
 * @property {() => void} undo
 */

import { documentOf, findModel, shownResult } from "../../core/state.js";
import { chooseResult, editInHand, meeting, neighbour, reopenMask } from "../../edits/choices.js";
import { plainRun } from "../../jobs/runs.js";
import { count, t, w } from "../i18n.js";

const MORE_RESULTS = 4;

/** @param {Ports} ports */
export function createChoosing({ store, jobs, messages, step, strokesFreed, undo }) {
  /** @param {string} key @param {string} edit */
  const choose = (key, edit) => {
    const before = documentOf(store.get()).edits.length;
    step(w("choice"), (doc) => chooseResult(doc, key, edit, meeting(store.get())), key);
    jobs.chosen(edit);
    const freed = before - documentOf(store.get()).edits.length;
    if (freed === 0) return;
    strokesFreed();
    messages.tell(
      count(freed, "1 later fill was made for another picture", "{n} later fills were made for another picture"),
      t("What you painted for it is back, to be filled again."),
      { label: t("Undo"), act: undo },
    );
  };

  return {
    choose,
    /** The result `by` further on in the list. @param {number} by */
    next(by) {
      const next = neighbour(store.get(), by);
      if (next) choose(next.key, next.edit);
    },
    /** The strokes of a fill are back to be changed, and the photo under them. */
    editMask() {
      const edit = editInHand(store.get());
      if (!edit) return;
      step(w("mask"), (doc) => reopenMask(doc, edit.key, meeting(store.get())));
      store.update({ selected: null });
      messages.tell(t("Change what is painted, then remove it again."));
    },
    /** Further results by the model whose result is shown. */
    more() {
      const state = store.get();
      const edit = documentOf(state).edits.find((each) => each.key === state.selected);
      const shown = edit && shownResult(state, edit);
      if (!shown || !findModel(state, shown.model)?.stochastic) return;
      const another = { model: shown.model, ...(Object.keys(shown.params).length > 0 ? { params: shown.params } : {}) };
      jobs.more(
        edit.key,
        Array.from({ length: MORE_RESULTS }, () => another),
        false,
      );
    },
    /** The same strokes, filled by a model. @param {string} key @param {string} model */
    again: (key, model) => jobs.more(key, [plainRun(store.get(), model)], true),
  };
}
