/**
 * Results come in: their patches are kept, and the first of a fresh fill becomes a step of the timeline. The others join
 * the list of results.
 *
 * @typedef {import("../core/state.js").Result} Result
 * @typedef {import("../wire/protocol.js").FillLine} FillLine
 * @typedef {import("./jobs.js").Wanted} Wanted
 */

import { parentsOf } from "../core/document.js";
import { documentOf, findModel, patchesOf } from "../core/state.js";
import { number, t } from "../core/words.js";
import { commitEdit, recordFill } from "../edits/filled.js";
import { remember } from "./eta.js";
import { paintedArea } from "./groups.js";

/** @param {import("./jobs.js").Ports} ports @param {(edit: string) => void} choose called with a result that is shown from now on */
export function createReceiver(ports, choose) {
  const { store } = ports;

  /** @param {Wanted} wanted @param {Result} result */
  const addResult = ({ key }, result) =>
    store.update(({ results }) => {
      const list = results[key] ?? [];
      const known = list.some((each) => each.edit === result.edit);
      return known ? {} : { results: { ...results, [key]: [...list, result] } };
    });

  /** @param {Wanted} wanted @param {Result} result @param {number} ms without loading the model, which happens once */
  const learn = ({ shapes }, { model, params }, ms) =>
    store.update(({ prefs }) => {
      const work = { model, params, strategy: prefs.strategy };
      return { prefs: { ...prefs, timings: remember(prefs.timings, work, paintedArea(shapes), ms) } };
    });

  /** @param {Wanted} wanted @param {string} edit */
  const show = (wanted, edit) => {
    const doc = documentOf(store.get());
    const committed = parentsOf(doc, wanted.key) !== null;
    if (wanted.fresh && !committed) {
      if (store.get().results[wanted.key].length > 1) return; // undone meanwhile: its results wait for redo
      const made = { key: wanted.key, shapes: wanted.shapes, chosen: edit };
      store.update(({ timeline }) => ({ timeline: recordFill(timeline, made, (doc) => commitEdit(doc, made)) }));
      choose(edit);
      if (wanted.runs.length > 1) store.update({ selected: wanted.key });
    } else if (!wanted.fresh && wanted.show && doc.edits.at(-1)?.key === wanted.key) {
      wanted.show = false;
      ports.choose(wanted.key, edit);
    }
  };

  return {
    /**
     * Brings a result's patches to where they can be drawn.
     * @param {FillLine} line @param {AbortSignal} signal @param {ReadonlyMap<string, Promise<Blob | null>>} blobs that are here already or on their way, by address
     * @returns {Promise<boolean>} whether the result is still wanted
     */
    async fetchPatches(line, signal, blobs) {
      const kept = patchesOf(line).map(async ({ name, url }) =>
        ports.keepPatch(name, (await blobs.get(url)) ?? (await ports.api.blob(url, { signal }))),
      );
      await Promise.all(kept);
      return !signal.aborted;
    },

    /** @param {FillLine} line @param {Wanted} wanted */
    receive({ model, seed, ms, load_ms, strategy, patches, edit, run }, wanted) {
      /** @type {Result} */
      const result = { edit, model, seed, ms, strategy, patches, params: wanted.runs[run].params ?? {} };
      addResult(wanted, result);
      learn(wanted, result, ms - load_ms);
      show(wanted, edit);
      ports.settled();
      const title = findModel(store.get(), model)?.title ?? model;
      ports.say(t("Done in {n} s with {model}.", { n: number(ms / 1000, 1), model: title }));
    },
  };
}
