/** What is told of a model before it is fetched. */

import { formatBytes } from "../../wire/protocol.js";

/**
 * Licence and size of a model, to be read before it is downloaded.
 * @param {import("../../wire/protocol.js").ModelInfo} model @param {(text: string, values?: Record<string, string>) => string} t
 */
export function licenceFacts({ licence, download_bytes, download_is_estimate }, t) {
  const size = formatBytes(download_bytes);
  return [
    licence.name,
    licence.commercial_use ? "" : t("not for commercial use"),
    size && download_is_estimate ? t("about {size}", { size }) : size,
  ].filter(Boolean);
}

/** Whether a press could fetch it; a server without a network says in `problem` what to do instead. @param {import("../../core/state.js").ModelInfo} model */
export const downloadable = (model) => model.state === "failed" || (model.state === "missing" && !model.problem);

/** @param {import("../../core/state.js").ModelInfo} model @returns {number | null} 0 to 100; null when not known */
export function downloadPercent(model) {
  if (!model.progress?.total_bytes) return null;
  return Math.min(100, Math.floor((100 * model.progress.done_bytes) / model.progress.total_bytes));
}
