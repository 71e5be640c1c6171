/** Knows whether the server answers, waits for it when it does not, and notices when it was restarted. */

import { API } from "./api.js";

const WAITS_MS = [300, 600, 1200, 2500, 5000];

/** @typedef {ReturnType<typeof createHealth>} Health */

/** @param {import("../core/store.js").Store<import("../core/state.js").State>} store */
export function createHealth(store) {
  /** @type {Promise<void> | null} */
  let recovery = null;

  const poll = async () => {
    for (let tries = 0; ; tries++) {
      await new Promise((resolve) => setTimeout(resolve, WAITS_MS[Math.min(tries, WAITS_MS.length - 1)]));
      const config = await ask();
      if (!config) continue;
      store.update({ reachable: true, config });
      return;
    }
  };

  return {
    /** Somebody got no answer: look until there is one. */
    lost() {
      store.update({ reachable: false });
      recovery ??= poll().finally(() => {
        recovery = null;
      });
    },
    /** Resolves when the server answers again, at once when it does now. */
    back: () => recovery ?? Promise.resolve(),
  };
}

/** @returns {Promise<import("../wire/protocol.js").Config | null>} null: no answer */
async function ask() {
  try {
    const response = await fetch(`${API}/config`);
    if (response.status === 401) location.reload(); // a restart ends the session; what was painted is kept
    return response.ok ? await response.json() : null;
  } catch (error) {
    if (error instanceof TypeError || error instanceof SyntaxError) return null;
    throw error;
  }
}
