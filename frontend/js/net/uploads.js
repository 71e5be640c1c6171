/**
 * Brings each photo to the server once: in the background from the moment it is opened, and again only when the
 * server says that it does not have it.
 *
 * @typedef {import("../wire/protocol.js").ImageInfo} ImageInfo
 */

import { ApiError } from "../wire/protocol.js";
import { API, parseProblem } from "./api.js";

/** @typedef {ReturnType<typeof createUploads>} Uploads */

/**
 * @param {import("./api.js").Api} api
 * @param {(fraction: number | null) => void} progress 0 to 1; null when nothing is on its way
 */
export function createUploads(api, progress) {
  /** @type {Map<string, Promise<ImageInfo>>} by the page's key of the photo */
  const known = new Map();

  return {
    /** @param {string} key @param {Blob} blob @param {string} name @returns {Promise<ImageInfo>} */
    ensure(key, blob, name) {
      let upload = known.get(key);
      if (!upload) {
        upload = send(api, blob, name, progress);
        known.set(key, upload);
        upload.catch(() => known.delete(key)); // the next one who asks tries again
      }
      return upload;
    },
    /** The server has lost it, or has it already. @param {string} key @param {ImageInfo} [info] */
    remember(key, info) {
      if (info) known.set(key, Promise.resolve(info));
      else known.delete(key);
    },
  };
}

/**
 * XMLHttpRequest, because fetch cannot tell how much of a body has gone out.
 * @param {import("./api.js").Api} api @param {Blob} blob @param {string} name @param {(fraction: number | null) => void} progress
 * @returns {Promise<ImageInfo>}
 */
function send(api, blob, name, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${API}/images?name=${encodeURIComponent(name)}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = (event) => progress(event.lengthComputable ? event.loaded / event.total : 0);
    request.onloadend = () => progress(null);
    request.onload = () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(new ApiError(parseProblem(request.responseText, request.status)));
    };
    request.onerror = () => reject(api.gaveUp(new Error("network")));
    progress(0);
    request.send(blob);
  });
}
