/**
 * The page's whole state, and what can be read from it. The document inside `timeline` changes through history
 * alone; every other slice belongs to the module named beside it.
 *
 * @typedef {import("../wire/protocol.js").ModelInfo} ModelInfo
 * @typedef {import("../wire/protocol.js").Config} Config
 * @typedef {import("../wire/protocol.js").ParamValue} ParamValue
 * @typedef {import("../wire/protocol.js").PatchRef} PatchRef
 * @typedef {import("./history.js").Timeline} Timeline
 * @typedef {import("./view.js").View} View
 * @typedef {import("./view.js").Box} Box
 * @typedef {import("./view.js").ImagePoint} ImagePoint
 *
 * @typedef {object} OpenImage
 * @property {string} key        ours; names it in this browser's database
 * @property {string} name
 * @property {number} bytes
 * @property {number} width      after rotation
 * @property {number} height
 * @property {string | null} id  the server's; null until it has the file
 * @property {boolean} asPreview what the server makes of it is drawn, because this browser shows something else or nothing
 *
 * @typedef {object} Result      one result of one run
 * @property {string} edit       the server's id
 * @property {string} model
 * @property {number} seed
 * @property {number} ms
 * @property {string} strategy
 * @property {Readonly<Record<string, ParamValue>>} params
 * @property {readonly PatchRef[]} patches  their boxes do not overlap
 * @property {"due" | "done"} [saving]  to the server's output folder: it was chosen, and is saved soon; or it was saved
 *
 * @typedef {object} JobRun
 * @property {string} model
 * @property {number | null} [seed]
 * @property {"waiting" | "running" | "done" | "failed"} status
 * @property {string} stage
 * @property {number} fraction   0 to 1; negative when unknown
 * @property {import("../jobs/eta.js").Mark | null} mark
 * @property {number | null} endsAt  performance.now() at which its stage should be over; null until that can be told
 * @property {string | null} preview  object URL
 *
 * @typedef {object} Job
 * @property {number} number
 * @property {string} key        of the edit it answers
 * @property {readonly import("./shapes.js").Shape[]} shapes
 * @property {readonly string[]} parents
 * @property {boolean} fresh     its shapes are still in the draft
 * @property {Box} box
 * @property {number} regions     parts that are filled one after another, as far as is known
 * @property {number} regionsDone
 * @property {readonly {name: string, box: Box}[]} early  patches that are shown before the result is there
 * @property {number} startedAt  performance.now()
 * @property {number | null} position  in the server's queue
 * @property {number | null} usual  milliseconds that one such run took lately
 * @property {readonly JobRun[]} runs
 *
 * @typedef {object} Prefs
 * @property {"system" | "light" | "dark"} theme
 * @property {string} language         "system", or one of the page's
 * @property {boolean} auto            fill on release
 * @property {string | null} model     null: the server's
 * @property {import("../wire/protocol.js").Strategy} strategy
 * @property {number | null} growPx    null: the model's
 * @property {number} featherPx
 * @property {boolean} finish          grain and colour of the surroundings
 * @property {number} resultsPerFill   runs of a fresh fill, where the model gives several
 * @property {number} brush            diameter: screen pixels, or image pixels when locked
 * @property {boolean} brushLocked
 * @property {boolean} quickLook       a quick model's answer is shown while a slow one works
 * @property {"tint" | "hatch"} ink
 * @property {"auto" | "zoom" | "pan"} wheel
 * @property {boolean} singleKeys
 * @property {boolean} hinted          the first hint was seen
 * @property {Readonly<Record<string, Readonly<Record<string, ParamValue>>>>} params  by model
 * @property {Readonly<Record<string, number>>} seeds  by model, where the person chose one
 * @property {readonly string[]} words  that models were told, the last first
 * @property {import("../jobs/eta.js").Timings} timings
 *
 * @typedef {"point" | "snap" | "magnet" | "wand"} SelectTool
 * @typedef {"brush" | "eraser" | "rect" | "lasso" | "polygon" | "source" | "avoid" | "extend" | "hand" | "find" | "cutout" | SelectTool} ToolName
 *
 * @typedef {object} State
 * @property {Config} config
 * @property {readonly ModelInfo[]} models       net/models.js
 * @property {string} serverModel                net/models.js: what --model asked for
 * @property {boolean} reachable                 net/health.js
 * @property {OpenImage | null} image            session/place.js
 * @property {"" | "reading" | "failed"} opening session/opening.js
 * @property {string} openingName
 * @property {number | null} uploaded            net/uploads.js: 0 to 1; null when nothing is on its way
 * @property {Timeline} timeline                 history
 * @property {Readonly<Record<string, readonly Result[]>>} results  jobs/: results by edit key
 * @property {readonly Job[]} jobs               jobs/: under way, in the order in which they began
 * @property {readonly import("./shapes.js").Shape[]} queued  jobs/: painted, and filled as soon as that can be
 * @property {number} regionsDone                jobs/: by jobs that have ended, since there was nothing to do
 * @property {import("./document.js").Doc | null} peek  ui/panels/results.js: what choosing the result under the pointer would give
 * @property {string | null} selected            ui: the edit whose results are shown
 * @property {ToolName} tool                     ui
 * @property {boolean} painting                  ui/input.js: a stroke is being made
 * @property {boolean} armed                     ui/input.js: a fill starts by itself in a moment
 * @property {{mode: "off" | "hold" | "slider", at: number}} compare  ui
 * @property {View} view                         ui/input.js
 * @property {import("./document.js").Margins} margins  ui/panels/extend.js: what is to be added to the canvas
 * @property {boolean} fitted                    ui: the photo fills the room, and goes on to when the room changes
 * @property {import("./view.js").Size} viewport canvas/stage.js
 * @property {ImagePoint | null} crosshair       ui/input.js: where the keyboard paints
 * @property {{growPx: number, featherPx: number} | null} edge  ui/models/tuning.js: shown in the picture for a moment
 * @property {boolean} penDown                   ui/input.js: the keyboard's stroke has begun
 * @property {import("../session/here.js").PhotoList} gallery  session/session.js
 * @property {string | null} savedAs             jobs/: the last name written to the output folder
 * @property {Prefs} prefs                       session/prefs.js
 */

import { EMPTY, NO_MARGINS, sourceOf } from "./document.js";
import { begin, current } from "./history.js";
import { IDENTITY } from "./view.js";

/** @type {Prefs} */
export const DEFAULT_PREFS = Object.freeze({
  theme: "system",
  language: "system",
  auto: true,
  model: null,
  strategy: "default",
  growPx: null,
  featherPx: 0,
  finish: true,
  resultsPerFill: 1,
  brush: 40,
  brushLocked: false,
  quickLook: true,
  ink: "tint",
  wheel: "auto",
  singleKeys: true,
  hinted: false,
  params: {},
  seeds: {},
  words: [],
  timings: {},
});

/** Models that fill; the page has no use for others yet. @param {import("../wire/protocol.js").ModelList} list */
export const fillers = ({ models }) => models.filter((model) => model.task === "fill");

/** @param {import("../wire/protocol.js").Boot} boot @param {Prefs} prefs @returns {State} */
export const initialState = ({ config, models }, prefs) => ({
  config,
  models: fillers(models),
  serverModel: models.wanted,
  reachable: true,
  image: null,
  opening: "",
  openingName: "",
  uploaded: null,
  timeline: begin(EMPTY),
  results: {},
  jobs: [],
  queued: [],
  regionsDone: 0,
  peek: null,
  selected: null,
  tool: "brush",
  painting: false,
  armed: false,
  compare: { mode: "off", at: 0.5 },
  view: IDENTITY,
  margins: NO_MARGINS,
  fitted: true,
  viewport: { width: 1, height: 1 },
  crosshair: null,
  edge: null,
  penDown: false,
  gallery: { at: -1, items: [] },
  savedAs: null,
  prefs,
});

/** @param {State} state */
export const documentOf = (state) => current(state.timeline);

/** @param {ModelInfo} model */
export const usable = (model) => model.state === "ready" || model.state === "loaded";

/** @param {State} state @param {string} name */
export const findModel = (state, name) => state.models.find((model) => model.name === name) ?? null;

/** What the person asked for, ready or not. @param {State} state */
export const wantedModel = (state) =>
  findModel(state, state.prefs.model ?? state.serverModel) ?? findModel(state, state.serverModel);

const STAND_INS = ["patchmatch", "opencv"];

/** What fills right now: the wanted model, or while that is not ready the best one that is. @param {State} state @returns {ModelInfo | null} */
export function workingModel(state) {
  const wanted = wantedModel(state);
  if (wanted && usable(wanted)) return wanted;
  for (const name of STAND_INS) {
    const model = findModel(state, name);
    if (model && usable(model)) return model;
  }
  return state.models.find(usable) ?? null;
}

/** The wire takes no wider strokes. */
export const WIDEST_STROKE_PX = 8192;

/** The brush's diameter in image pixels. @param {State} state */
export const brushDiameter = ({ prefs, view }) =>
  Math.min(WIDEST_STROKE_PX, prefs.brushLocked ? prefs.brush : prefs.brush / view.scale);

/** Smallest and largest setting of the brush, in what `prefs.brush` counts. @param {Prefs} prefs @returns {[number, number]} */
export const brushRange = ({ brushLocked }) => (brushLocked ? [1, WIDEST_STROKE_PX] : [2, 400]);

/** The brush some steps larger or smaller. @param {Prefs} prefs @param {number} steps @returns {Prefs} */
export function resizedBrush(prefs, steps) {
  const [smallest, largest] = brushRange(prefs);
  return { ...prefs, brush: Math.min(largest, Math.max(smallest, prefs.brush * 1.1 ** steps)) };
}

/** The brush so many screen pixels larger. @param {State} state @param {number} px @returns {Prefs} */
export function grownBrush({ prefs, view }, px) {
  const [smallest, largest] = brushRange(prefs);
  const brush = prefs.brush + (prefs.brushLocked ? px / view.scale : px);
  return { ...prefs, brush: Math.min(largest, Math.max(smallest, brush)) };
}

/** What an edit was filled by, with what is shown of it. @param {State} state @param {import("./document.js").Edit} edit @returns {Result | null} */
export const shownResult = (state, edit) =>
  state.results[edit.key]?.find((result) => result.edit === edit.chosen) ?? null;

/** A patch's own name; that of the first is the edit's, as when there was only one. @param {string} edit @param {number} index */
export const patchName = (edit, index) => (index === 0 ? edit : `${edit}-${index}`);

/** @param {Pick<Result, "edit" | "patches">} result */
export const patchesOf = ({ edit, patches }) =>
  patches.map(({ url, x, y, w, h }, i) => ({
    name: patchName(edit, i),
    url,
    box: { x, y, width: w, height: h },
  }));

/** What a model takes words by. @param {ModelInfo | null} model */
export const promptOf = (model) => model?.parameters.find(({ kind }) => kind === "text") ?? null;

/** What a model takes an example picture by. @param {ModelInfo | null} model */
export const exampleOf = (model) => model?.parameters.find(({ kind }) => kind === "picture") ?? null;

/** Whether the model that fills wants to be told what to paint. @param {State} state */
export const takesWords = (state) => {
  const model = workingModel(state);
  return promptOf(model) !== null || exampleOf(model) !== null;
};

/** Whether what is painted is filled by itself: not where words say when. @param {State} state */
export const fillsOnRelease = (state) => state.prefs.auto && !takesWords(state);

/** Tools whose drawing is a question to the server. @param {ToolName} tool @returns {tool is SelectTool} */
export const selects = (tool) => tool === "point" || tool === "snap" || tool === "magnet" || tool === "wand";
/** Tools with a round brush. @param {ToolName} tool */
export const brushes = (tool) => ["brush", "eraser", "source", "avoid", "snap"].includes(tool);

/** What the tool marks: places to copy from, or not to; null for other tools. @param {ToolName} tool @returns {"include" | "exclude" | null} */
export const marks = (tool) => (tool === "source" ? "include" : tool === "avoid" ? "exclude" : null);

/** Whether places to copy from, or not to, are marked. @param {State} state */
export const sourceIsMarked = (state) => Object.values(sourceOf(documentOf(state))).some((shapes) => shapes.length > 0);

/** Whether what fills can be told where to copy from. @param {State} state */
export const takesSource = (state) => workingModel(state)?.source_control ?? false;

/** Tools that paint, whichever their shape. @param {ToolName} tool */
export const paints = (tool) => ["brush", "lasso", "rect", "polygon"].includes(tool);
