/** Settings, kept in this browser. A browser that keeps nothing gets the defaults. */

import { DEFAULT_PREFS } from "../core/state.js";

const NAME = "lama-server.prefs";

/** @returns {import("../core/state.js").Prefs} */
export function loadPrefs() {
  try {
    const { answers, ...kept } = JSON.parse(localStorage.getItem(NAME) ?? "{}");
    const renamed = answers === undefined ? {} : { resultsPerFill: answers }; // its name in version 0.1
    return { ...DEFAULT_PREFS, ...renamed, ...kept };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof DOMException) return DEFAULT_PREFS;
    throw error;
  }
}

/** @param {import("../core/state.js").Prefs} prefs */
export function savePrefs(prefs) {
  try {
    localStorage.setItem(NAME, JSON.stringify(prefs));
  } catch (error) {
    if (!(error instanceof DOMException)) throw error; // no room, or not allowed: they last as long as the page
  }
}
