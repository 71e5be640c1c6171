/** Keeps the list of models current while something about it is changing, and starts downloads. */

import { fillers, findModel, usable, wantedModel } from "../core/state.js";
import { API } from "./api.js";

/** @typedef {ReturnType<typeof createModels>} Models */

const POLL_MS = 1000;

/**
 * @param {import("../core/store.js").Store<import("../core/state.js").State>} store
 * @param {import("./api.js").Api} api @param {(error: unknown) => void} failed
 */
export function createModels(store, api, failed) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const refresh = async () => {
    const list = /** @type {import("../wire/protocol.js").ModelList} */ (await api.json(`${API}/models`));
    const { models } = store.get();
    const now = fillers(list);
    const same = JSON.stringify(models) === JSON.stringify(now);
    store.update({ models: same ? models : now, serverModel: list.wanted });
  };

  const plan = () => {
    clearTimeout(timer);
    const state = store.get();
    const wanted = wantedModel(state);
    const moving = state.models.some((model) => model.state === "downloading");
    if (state.reachable && (moving || (wanted && !usable(wanted) && wanted.state !== "unavailable"))) {
      timer = setTimeout(() => refresh().catch(failed).finally(plan), moving ? POLL_MS : POLL_MS * 5);
    }
  };
  store.watch((state) => state.models, plan);
  store.watch((state) => state.reachable, plan);

  return {
    refresh,
    /** Returns when the download has begun; the list tells how it goes. @param {string} name */
    async download(name) {
      const response = await api.call(`${API}/models/${encodeURIComponent(name)}/download`, { method: "POST" });
      await response.body?.cancel(); // hanging up does not stop it
      const model = findModel(store.get(), name);
      if (model) {
        const begun = { ...model, state: /** @type {const} */ ("downloading") };
        store.update((state) => ({ models: state.models.map((each) => (each.name === name ? begun : each)) }));
      }
      await refresh();
    },
  };
}
