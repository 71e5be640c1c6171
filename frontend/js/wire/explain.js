/** What an error means to a person: what was wrong, why, and what to do. */

import { detail, number, sentence, t } from "../core/words.js";
import { ApiError } from "./protocol.js";

/** @type {Readonly<Record<string, string>>} */
export const HINTS = {
  "page.unreachable": "Is lama-server still running? Your work is kept; the page goes on when it answers.",
  "page.bad_answer": "Another program may be answering on this address. Reload the page.",
  "page.undecodable": "Open the file in another program and save it as PNG or JPEG.",
  "engine.out_of_memory": "Paint a smaller area, or choose a lighter model.",
  "engine.failed": "Try again, or choose another model.",
  "worker.crashed": "The engine was restarted. Try again; if it happens again, choose a lighter model.",
  "queue.full": "Other work is waiting. Try again in a moment.",
  "model.not_downloaded": "Open the model menu and download it, or choose another model.",
  "model.loading": "Try again in a moment.",
  "model.weights_corrupted": "Download the model again from the model menu.",
  "model.download_failed": "Check the connection, then try again from the model menu.",
  "mask.empty": "Paint over what should go.",
  "page.mask_empty": "Paint over what should go, or choose a picture that is white there.",
  "page.mask_size": "Use a mask with the photo's own size, or a smaller copy of it.",
  "mask.covers_image": "Leave some of the photo unpainted: the fill needs something to continue.",
  "image.too_many_pixels": "Start the server with a higher --max-megapixels.",
  "edit.not_found": "The server's store was emptied. Undo to the strokes and fill them again.",
  "image.unsupported_format": "Use JPEG, PNG, WebP, TIFF or BMP.",
  "save.disk_full": "Free some space. Your result is still here: use Save.",
  "save.failed": "Your result is still here: use Save.",
  "auth.required": "Reload the page and enter the server's token.",
};

/**
 * @typedef {{title: string, cause: string, hint: string, code: string, retryable: boolean, report: string}} Explanation
 */

/**
 * Why, in the language of the page: nothing where a figure in its words is missing, and the server's English in English.
 * @param {import("./protocol.js").Problem} problem
 */
function reasonOf({ code, detail: english = "", limit }) {
  const words = detail(`${code}/${limit?.name}`) ?? detail(code);
  if (words === undefined) return t(english);
  /** @type {Record<string, string>} */
  const values = {};
  for (const [name, figure] of Object.entries({ value: limit?.value, actual: limit?.actual }))
    if (typeof figure === "number") values[name] = number(figure, Number.isInteger(figure) ? 0 : 1);
  const command = /pip install .+/.exec(english)?.[0];
  if (command) values.command = command;
  return [...words.matchAll(/\{(\w+)\}/g)].every(([, name]) => name in values) ? t(words, values) : "";
}

/** Why a model cannot be used: never nothing. @param {import("./protocol.js").Problem} problem */
export const whyNot = (problem) => reasonOf(problem) || `${sentence(problem.code) ?? problem.title}.`;

/** @param {unknown} error @returns {Explanation} */
export function explain(error) {
  if (!(error instanceof ApiError)) {
    const cause = error instanceof Error ? error.message : String(error);
    return {
      title: t("Something went wrong in the page"),
      cause,
      hint: t("Try again, or reload the page."),
      code: "page.error",
      retryable: true,
      report: "",
    };
  }
  const { problem } = error;
  return {
    title: sentence(problem.code) ?? error.message,
    cause: reasonOf(problem),
    hint: t(HINTS[problem.code] ?? ""),
    code: problem.code,
    retryable: error.retryable,
    report: problem.request_id ?? "",
  };
}
