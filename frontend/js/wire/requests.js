/**
 * Asking for an edit, and reading what comes back.
 *
 * @typedef {import("./protocol.js").EditRequest} EditRequest
 * @typedef {import("./protocol.js").Line} Line
 * @typedef {import("./protocol.js").Run} Run
 * @typedef {import("./protocol.js").Strategy} Strategy
 * @typedef {import("../core/shapes.js").Shape} Shape
 */

const LINE_TYPES = new Set(["queued", "progress", "preview", "patch", "result", "saved", "error"]);

/**
 * @param {string} text one line of an edit's stream
 * @returns {Line | null} null: a type this page does not know, which a newer server may send
 */
export function readLine(text) {
  const line = JSON.parse(text);
  return LINE_TYPES.has(line?.type) ? line : null;
}

/**
 * @param {{image: string, parents: readonly string[], shapes: readonly Shape[], growPx: number | null, featherPx: number,
 *   strategy: Strategy, finish: boolean, quickLook: boolean, save: boolean, runs: readonly Run[], source?: import("../core/document.js").Source}} wanted  `growPx` null and `strategy` "default" leave the choice to the model
 * @returns {EditRequest}
 */
export function editRequest(wanted) {
  return {
    image: wanted.image,
    parents: wanted.parents,
    mask: {
      shapes: wanted.shapes,
      ...(wanted.source ? { source: wanted.source } : {}),
      ...(wanted.growPx === null ? {} : { grow_px: wanted.growPx }),
      ...(wanted.featherPx > 0 ? { feather_px: wanted.featherPx } : {}),
    },
    ...(wanted.strategy === "default" ? {} : { strategy: wanted.strategy }),
    ...(wanted.finish ? {} : { finish: false }),
    ...(wanted.quickLook ? {} : { quick_look: false }),
    ...(wanted.save ? {} : { save: false }),
    runs: wanted.runs,
  };
}
