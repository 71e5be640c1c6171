/** The one place that calls fetch: answers are checked here, and every failure becomes a `ApiError` with a code. */

import { t } from "../core/words.js";
import { ApiError } from "../wire/protocol.js";

export const API = "/api/v1";

/** @typedef {ReturnType<typeof createApi>} Api */

/** @param {() => void} unreachable called when the server does not answer at all */
export function createApi(unreachable) {
  // The server runs what comes under one name in order, and what comes under several at once where it can.
  const clientId = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");

  /**
   * @param {string} path @param {RequestInit} [options]
   * @returns {Promise<Response>} with a good status; rejects with `ApiError`, or AbortError when aborted
   */
  async function call(path, options) {
    /** @type {Response} */
    let response;
    try {
      response = await fetch(path, options);
    } catch (error) {
      throw gaveUp(error, options?.signal);
    }
    if (!response.ok) throw new ApiError(await readProblem(response));
    return response;
  }

  /** @param {unknown} error @param {AbortSignal | null} [signal] @returns {unknown} */
  function gaveUp(error, signal) {
    if (signal?.aborted) return error;
    unreachable();
    return new ApiError({ code: "page.unreachable", title: t("The server does not answer"), retryable: true });
  }

  return {
    call,
    gaveUp,
    /** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
    json: async (path, options) => (await call(path, options)).json(),
    /** @param {string} path @param {RequestInit} [options] */
    blob: async (path, options) => (await call(path, options)).blob(),
    /**
     * @param {string} path @param {unknown} body @param {AbortSignal} [signal]
     * @param {number} [lane] what goes out on one lane is done in order, what goes out on two beside each other
     * @param {boolean} [keepalive] it arrives also when the page is left
     * @param {string} [accept] the media type that is wanted
     */
    post: (path, body, signal, lane = 0, keepalive = false, accept = "application/json") =>
      call(path, {
        method: "POST",
        headers: { accept, "content-type": "application/json", "x-client-id": lane ? `${clientId}-${lane}` : clientId },
        body: JSON.stringify(body),
        signal,
        keepalive,
      }),
  };
}

/** @param {Response} response @returns {Promise<import("../wire/protocol.js").Problem>} */
async function readProblem(response) {
  const text = await response.text();
  return parseProblem(text, response.status);
}

/** @param {string} text @param {number} status @returns {import("../wire/protocol.js").Problem} */
export function parseProblem(text, status) {
  try {
    const problem = JSON.parse(text);
    if (typeof problem?.code === "string") return problem;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return {
    code: "page.bad_answer",
    title: t("The server's answer makes no sense"),
    detail: t("Status {status}.", { status }),
    status,
  };
}
