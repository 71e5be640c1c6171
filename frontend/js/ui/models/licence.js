/** What is told of a model before it is fetched. */

import { formatBytes } from "../../core/protocol.js";

/**
 * Licence and size of a model, to be read before it is downloaded.
 * @param {import("../../core/protocol.js").ModelInfo} model @param {(text: string, values?: Record<string, string>) => string} t
 */
export function licenceFacts({ licence, download_bytes, download_is_estimate }, t) {
  const size = formatBytes(download_bytes);
  return [
    licence.name,
    licence.commercial_use ? "" : t("not for commercial use"),
    size && download_is_estimate ? t("about {size}", { size }) : size,
  ].filter(Boolean);
}
