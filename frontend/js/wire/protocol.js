/**
 * The wire: its types, how a request is made, how a line or a problem is read. Nothing here touches the network.
 *
 * @typedef {import("../core/shapes.js").Shape} Shape
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

import { number } from "../core/words.js";

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
