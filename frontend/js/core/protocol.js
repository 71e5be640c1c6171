/**
 * The wire: its types, how a request is made, how a line or a problem is read. Nothing here touches the network.
 *
 * @typedef {import("./shapes.js").Shape} Shape
 * @typedef {string | number | boolean} ParamValue
 * @typedef {object} Parameter   one knob of an engine
 * @property {string} name
 * @property {"int" | "float" | "bool" | "choice" | "text" | "picture"} kind
 * @property {ParamValue} default  none for a picture
 * @property {number | null} [minimum]
 * @property {number | null} [maximum]
 * @property {readonly string[]} [choices]
 * @property {string} [help]
 *
 * @typedef {object} ModelInfo
 * @property {string} name
 * @property {string} title
 * @property {"fill" | "select" | "matte" | "enlarge"} task  the page works with those that fill
 * @property {string} tagline
 * @property {string} description
 * @property {{name: string, url: string, commercial_use: boolean}} licence
 * @property {boolean} stochastic   another seed gives another result
 * @property {readonly string[]} strategies
 * @property {string} strategy      the default
 * @property {number} grow_px       the default growth of painted masks
 * @property {readonly Parameter[]} parameters
 * @property {number} download_bytes      0: none, or not known
 * @property {boolean} download_is_estimate
 * @property {number} memory_bytes        once it is loaded
 * @property {"ready" | "loaded" | "missing" | "downloading" | "failed" | "unavailable"} state
 * @property {{done_bytes: number, total_bytes: number | null} | null} progress
 * @property {string} reason      why the server took it without being asked
 * @property {Problem | null} problem
 *
 * @typedef {object} Config
 * @property {string} version
 * @property {string} boot_id       changes when the server restarts
 * @property {string} model
 * @property {string} [device]
 * @property {string | null} [output_dir]  name of the auto-save folder
 * @property {string | null} [open_image]  id of the photo given by --input
 * @property {string | null} [input_dir]  name of the folder given by --input
 * @property {{runs: number, shapes: number}} [limits]
 * @property {Readonly<Record<string, unknown>>} [settings]  those that may be shown
 * @typedef {{current: string, wanted: string, models: readonly ModelInfo[]}} ModelList  wanted: what --model asked for
 * @typedef {{config: Config, models: ModelList}} Boot
 *
 * @typedef {object} ImageInfo
 * @property {string} id
 * @property {string} name
 * @property {number} width
 * @property {number} height
 * @property {string} format
 * @property {boolean} browsers_agree  false: a browser that decodes the file itself shows something else
 *
 * @typedef {object} Problem        RFC 9457
 * @property {string} code
 * @property {string} [title]
 * @property {string} [detail]
 * @property {number} [status]
 * @property {boolean} [retryable]
 * @property {number | null} [retry_after]
 * @property {string} [request_id]
 *
 * @typedef {{url: string, x: number, y: number, w: number, h: number}} PatchRef
 * @typedef {{model: string, seed?: number, params?: Readonly<Record<string, ParamValue>>}} Run
 * @typedef {object} EditRequest
 * @property {string} image
 * @property {readonly string[]} parents
 * @property {{shapes: readonly Shape[], grow_px?: number, feather_px?: number}} mask
 * @property {string} [strategy]
 * @property {boolean} [quick_look]
 * @property {boolean} [save]
 * @property {readonly Run[]} runs
 *
 * @typedef {{type: "queued", job: string, position: number}} QueuedLine
 * @typedef {{type: "progress", job: string, run: number, stage: string, step: number, total: number}} ProgressLine
 * @typedef {{type: "preview", job: string, run: number, url: string, x: number, y: number, w: number, h: number}} PreviewLine
 * @typedef {{type: "result", job: string, run: number, edit: string, model: string, seed: number, ms: number, load_ms: number,
 *   strategy: string, patches: readonly PatchRef[]}} ResultLine
 * @typedef {PatchRef & {type: "patch", job: string, run: number, edit: string, index: number, of: number}} PatchLine
 * @typedef {{type: "error", job: string, run: number | null, problem: Problem}} ErrorLine
 * @typedef {QueuedLine | ProgressLine | PreviewLine | PatchLine | ResultLine | ErrorLine} Line
 */

const LINE_TYPES = new Set(["queued", "progress", "preview", "patch", "result", "error"]);

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
 *   strategy: string, quickLook: boolean, save: boolean, runs: readonly Run[]}} wanted  `growPx` null and `strategy` "default" leave the choice to the model
 * @returns {EditRequest}
 */
export function editRequest(wanted) {
  return {
    image: wanted.image,
    parents: wanted.parents,
    mask: {
      shapes: wanted.shapes,
      ...(wanted.growPx === null ? {} : { grow_px: wanted.growPx }),
      ...(wanted.featherPx > 0 ? { feather_px: wanted.featherPx } : {}),
    },
    ...(wanted.strategy === "default" ? {} : { strategy: wanted.strategy }),
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
  return `${value >= 10 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
