/**
 * The wire: its types, how a request is made, how a line or a problem is read. Nothing here touches the network.
 *
 * @typedef {import("./shapes.js").Shape} Shape
 * @typedef {import("./wire.js").ParameterReply} Parameter
 * @typedef {import("./wire.js").ModelReply} ModelInfo
 * @typedef {import("./wire.js").ModelsReply} ModelList
 * @typedef {import("./wire.js").ConfigReply} Config
 * @typedef {import("./wire.js").PatchReply} PatchRef
 * @typedef {import("./wire.js").Run} Run
 * @typedef {import("./wire.js").EditRequest} EditRequest
 * @typedef {import("./wire.js").EditEvent} Line
 * @typedef {import("./wire.js").ProgressEvent} ProgressLine
 * @typedef {import("./wire.js").PreviewEvent} PreviewLine
 * @typedef {import("./wire.js").PatchEvent} PatchLine
 * @typedef {import("./wire.js").ResultEvent & {model: string, seed: number, strategy: string}} FillLine  the result of a fill
 * @typedef {"default" | NonNullable<EditRequest["strategy"]>} Strategy  default: the model's own
 * @typedef {string | number | boolean} ParamValue
 * @typedef {{config: Config, models: ModelList}} Boot  in the page as it is sent
 * @typedef {Pick<import("./wire.js").ImageReply, "id" | "name" | "width" | "height" | "browsers_agree">} ImageInfo
 * @typedef {Partial<import("./wire.js").ProblemReply> & {code: string}} Problem  the page has some of its own
 */

import { number } from "./words.js";

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
 *   strategy: Strategy, finish: boolean, quickLook: boolean, save: boolean, runs: readonly Run[], source?: import("./document.js").Source}} wanted  `growPx` null and `strategy` "default" leave the choice to the model
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

/**
 * Licence and size of a model, to be read before it is downloaded.
 * @param {ModelInfo} model @param {(text: string, values?: Record<string, string>) => string} t
 */
export function licenceFacts({ licence, download_bytes, download_is_estimate }, t) {
  const size = formatBytes(download_bytes);
  return [
    licence.name,
    licence.commercial_use ? "" : t("not for commercial use"),
    size && download_is_estimate ? t("about {size}", { size }) : size,
  ].filter(Boolean);
}

/** Something the person should know about, with what to do about it. */
export class ApiError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.title || "Something went wrong");
    this.name = "ApiError";
    this.problem = problem;
    this.code = problem.code;
    this.retryable = problem.retryable ?? false;
  }
}

/** @param {number | null | undefined} bytes */
export function formatBytes(bytes) {
  if (!bytes) return "";
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value >= 10 || power === 0 ? Math.round(value) : number(value, 1)} ${units[power]}`;
}
