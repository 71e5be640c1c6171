/** What is asked of models: runs. */

import { findModel } from "../core/state.js";

/**
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../wire/protocol.js").Run} Run
 */

/** @param {State} state @param {string} name @param {number} [seed] @returns {Run} */
export function plainRun(state, name, seed) {
  const model = findModel(state, name);
  const params = model ? chosenParams(state, model) : {};
  return {
    model: name,
    ...(Object.keys(params).length > 0 ? { params } : {}),
    ...(seed === undefined ? {} : { seed }),
  };
}

/** As many as the person wants of a fresh fill, where the model gives several answers. @param {State} state @param {import("../core/state.js").ModelInfo} model @returns {Run[]} */
export function freshRuns(state, model) {
  const seed = state.prefs.seeds[model.name];
  return Array.from({ length: model.stochastic ? Math.max(1, state.prefs.resultsPerFill) : 1 }, (_, i) =>
    plainRun(state, model.name, seed === undefined ? seed : seed + i),
  );
}

/** Overrides only: what equals the default is left out. @param {import("../core/state.js").State} state @param {import("../core/state.js").ModelInfo} model @returns {Record<string, import("../wire/protocol.js").ParamValue>} */
function chosenParams(state, model) {
  const set = state.prefs.params[model.name] ?? {};
  const known = model.parameters.filter(
    (parameter) => parameter.name in set && set[parameter.name] !== parameter.default,
  );
  return Object.fromEntries(known.map((parameter) => [parameter.name, set[parameter.name]]));
}
