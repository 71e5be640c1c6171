/** The composition root: makes everything from the boot data and joins it together. No decisions are taken here. */

import { createBitmaps } from "./canvas/bitmaps.js";
import { addShape, chooseResult, clearDraft, commitEdit, shownEdits } from "./core/document.js";
import { canRedo, canUndo, record, recordFill, redo, undo } from "./core/history.js";
import { documentOf, findModel, initialState, meeting, resizedBrush, shownResult, workingModel } from "./core/state.js";
import { createStore } from "./core/store.js";
import { fit, scaleTo, zoomAt } from "./core/view.js";
import { createApi } from "./net/api.js";
import { createHealth } from "./net/health.js";
import { createJobs, plainRun } from "./net/jobs.js";
import { createModels } from "./net/models.js";
import { createUploads } from "./net/uploads.js";
import { createPersistence } from "./session/persist.js";
import { loadPrefs, savePrefs } from "./session/prefs.js";
import { createSession } from "./session/session.js";
import { createCompare } from "./ui/compare.js";
import { find, setText } from "./ui/dom.js";
import { createWaysIn, createWaysOut, offerLast } from "./ui/files.js";
import { count, t, translatePage } from "./ui/i18n.js";
import { createKeys } from "./ui/keys.js";
import { createMessages } from "./ui/messages.js";
import { createGallery, createHelp, createOptions, createSettings } from "./ui/panels.js";
import { createProgress } from "./ui/progress.js";
import { createResults, neighbour } from "./ui/results.js";
import { createToolbar } from "./ui/toolbar.js";
import { createViewer } from "./ui/viewer.js";

const FILL_AFTER_MS = 250;
const MORE_RESULTS = 4;
/** Small photos are shown up to this much larger. */
const FIT_ENLARGES = 2;

/** @typedef {import("./core/state.js").State} State */

translatePage(document.body);
// The link with the server's token was opened in a browser that is signed in: keep the token out of sight.
if (location.hash.startsWith("#token=")) history.replaceState(null, "", location.pathname + location.search);
const boot = /** @type {import("./core/protocol.js").Boot} */ (JSON.parse(find("boot").textContent ?? ""));
/** @type {import("./core/store.js").Store<State>} */
const store = createStore(initialState(boot, loadPrefs()));
const messages = createMessages();
const health = createHealth(store);
const api = createApi(health.lost);
const models = createModels(store, api, (error) => messages.complain(error, null));
const bitmaps = createBitmaps(() => viewer.stage.invalidate("image", "ink"));
const session = createSession({
  store,
  api,
  bitmaps,
  uploads: createUploads(api, (uploaded) => store.update({ uploaded })),
  persistence: createPersistence(() =>
    messages.tell(t("This browser keeps no data"), t("What you paint lasts as long as this page.")),
  ),
  complain: messages.complain,
  say: messages.say,
  leaving,
  arrived() {
    fitPhoto();
    armDraft();
  },
});
const jobs = createJobs({
  store,
  api,
  health,
  filled: (edit) =>
    store.update(({ timeline }) => ({ timeline: recordFill(timeline, edit, (doc) => commitEdit(doc, edit)) })),
  choose: (key, edit) => step("choice", (doc) => chooseResult(doc, key, edit, meeting(store.get())), key),
  imageId: () => session.imageId(),
  imageLost: () => session.imageLost(),
  keepPatch: (name, png) => session.keepPatch(name, png),
  previewUrl: (blob, name) => bitmaps.url(blob, name),
  showEstimate: bitmaps.addEstimate,
  clearEstimates: bitmaps.clearEstimates,
  say: messages.say,
  complain: messages.complain,
});

/**
 * A step of the person's: the document changes, and undo takes it back.
 * @param {string} label @param {(doc: import("./core/document.js").Doc) => import("./core/document.js").Doc} change
 * @param {string} [of] steps of one label and one `of` in a row are one
 */
function step(label, change, of) {
  store.update(({ timeline }) => ({ timeline: record(timeline, label, change(documentOf(store.get())), of) }));
}

// Fill on release, once no stroke has followed for a moment.

/** @type {ReturnType<typeof setTimeout> | undefined} */
let releaseTimer;

/** @param {boolean} armed */
function arm(armed) {
  clearTimeout(releaseTimer);
  store.update({ armed });
  if (!armed) return;
  releaseTimer = setTimeout(() => {
    store.update({ armed: false });
    jobs.fill();
  }, FILL_AFTER_MS);
}

/** What is painted is filled by itself, where the person wants that. */
function armDraft() {
  const { prefs } = store.get();
  arm(prefs.auto && documentOf(store.get()).draft.length > 0);
}

/** @param {import("./core/shapes.js").Shape} shape */
function painted(shape) {
  step("stroke", (doc) => addShape(doc, shape));
  armDraft();
}

/** Another photo takes the place of this one, whose strokes are kept and filled when it comes back. */
function leaving() {
  viewer.input.cancel();
  arm(false);
  const { job, image } = store.get();
  if (job?.fresh && image) messages.tell(t("{name} is filled when you come back to it", { name: image.name }));
  jobs.cancel();
}

const viewer = createViewer(store, find("stage"), bitmaps, {
  painted,
  stroking: (started) => {
    if (started) clearTimeout(releaseTimer);
  },
  run: (id) => run(id),
  say: messages.say,
});

function insets(state = store.get()) {
  const narrow = innerWidth <= 720;
  const strip = documentOf(state).edits.length > 0 ? 84 : 0;
  const drawer = state.selected && !narrow ? 292 : 0;
  return { top: 64, right: 16 + drawer, bottom: (narrow ? 140 : 96) + strip, left: narrow ? 16 : 72 };
}

/** The view in which all of the photo is seen. @param {State} state */
const fittedView = ({ image, viewport }) => image && fit(image, viewport, insets(), FIT_ENLARGES / viewer.stage.dpr());

function fitPhoto() {
  const view = fittedView(store.get());
  if (view) store.update({ view, fitted: true });
}

/** The room has changed: a photo that filled it goes on to, unless a stroke is being made on it. */
function refit() {
  const { fitted, painting } = store.get();
  const to = fittedView(store.get());
  if (fitted && !painting && to) viewer.glide(to);
}

/** @param {(view: import("./core/view.js").View, middle: import("./core/view.js").ScreenPoint) => import("./core/view.js").View} change */
function zoom(change) {
  const { view, viewport } = store.get();
  viewer.input.setView(change(view, { x: viewport.width / 2, y: viewport.height / 2 }));
}

/** @param {number} steps */
function sizeBrush(steps) {
  store.update(({ prefs }) => ({ prefs: resizedBrush(prefs, steps) }));
  viewer.overlay.flashSize(find("brush-value").textContent ?? "");
}

/** @param {(timeline: State["timeline"]) => State["timeline"]} move */
function travel(move) {
  arm(false);
  jobs.hold();
  store.update(({ timeline }) => ({ timeline: move(timeline) }));
  armDraft();
}

/** @param {string} key @param {string} edit */
function choose(key, edit) {
  const later = shownEdits(documentOf(store.get())).length;
  step("choice", (doc) => chooseResult(doc, key, edit, meeting(store.get())), key);
  const dropped = later - documentOf(store.get()).edits.length;
  if (dropped > 0) {
    armDraft();
    messages.tell(
      count(dropped, "1 later fill was made for another picture", "{n} later fills were made for another picture"),
      t("What you painted for it is back, to be filled again."),
      { label: t("Undo"), act: () => run("undo") },
    );
  }
}

/** @param {number} by */
function stepResult(by) {
  const next = neighbour(store.get(), by);
  if (next) choose(next.key, next.edit);
}

function moreResults() {
  const state = store.get();
  const edit = documentOf(state).edits.find((each) => each.key === state.selected);
  const shown = edit && shownResult(state, edit);
  if (!shown || !findModel(state, shown.model)?.stochastic) return;
  const another = { model: shown.model, ...(Object.keys(shown.params).length > 0 ? { params: shown.params } : {}) };
  jobs.more(
    edit.key,
    Array.from({ length: MORE_RESULTS }, () => another),
    false,
  );
}

/** What Escape takes back, the nearest first. */
function cancel() {
  if (viewer.input.cancel()) return;
  const state = store.get();
  if (state.job) {
    jobs.cancel();
    messages.tell(
      t("Cancelled"),
      t("What you painted is kept."),
      workingModel(state) ? { label: t("Fill"), act: () => run("run") } : undefined,
    );
  } else if (state.compare.mode !== "off") store.update({ compare: { ...state.compare, mode: "off" } });
  else if (state.selected) store.update({ selected: null });
}

/** @param {State["tool"]} tool */
const choosing = (tool) => () => store.update({ tool });
/** @param {State["compare"]["mode"]} mode */
const comparing = (mode) => store.update(({ compare }) => ({ compare: { ...compare, mode } }));
/** @param {string} name */
const download = (name) => void models.download(name).catch((error) => messages.complain(error, () => download(name)));

const chooseFiles = createWaysIn(
  (files) => void session.openFiles(files).catch((error) => messages.complain(error, null)),
  messages,
);
const out = createWaysOut(store, api, messages, () => session.imageId());

/** @type {import("./ui/keys.js").Actions} */
const actions = {
  "tool-brush": choosing("brush"),
  "tool-eraser": choosing("eraser"),
  "tool-rect": choosing("rect"),
  "tool-lasso": choosing("lasso"),
  "tool-hand": choosing("hand"),
  "tool-swap": () => store.update(({ tool }) => ({ tool: tool === "eraser" ? "brush" : "eraser" })),
  "brush-smaller": () => sizeBrush(-1),
  "brush-larger": () => sizeBrush(1),
  clear: () => {
    arm(false);
    step("clear", clearDraft);
  },
  run: () => {
    arm(false);
    jobs.fill();
    find("stage").focus({ preventScroll: true });
  },
  cancel,
  more: moreResults,
  "result-previous": () => stepResult(-1),
  "result-next": () => stepResult(1),
  drawer: () =>
    store.update((state) => ({ selected: state.selected ? null : (documentOf(state).edits.at(-1)?.key ?? null) })),
  undo: () => canUndo(store.get().timeline) && travel(undo),
  redo: () => canRedo(store.get().timeline) && travel(redo),
  compare: { start: () => comparing("hold"), stop: () => store.get().compare.mode === "hold" && comparing("off") },
  "compare-slider": () => comparing(store.get().compare.mode === "slider" ? "off" : "slider"),
  pan: { start: () => viewer.input.holdSpace(true), stop: () => viewer.input.holdSpace(false) },
  "zoom-fit": fitPhoto,
  "zoom-100": () => zoom((view, middle) => scaleTo(view, middle, 1 / viewer.stage.dpr())),
  "zoom-in": () => zoom((view, middle) => zoomAt(view, middle, 1.25)),
  "zoom-out": () => zoom((view, middle) => zoomAt(view, middle, 0.8)),
  open: chooseFiles,
  download: out.download,
  copy: out.copy,
  help: createHelp(),
};
const run = createKeys(store, actions);

createSettings(store);
createToolbar(store, run, actions);
createCompare(store);
createProgress(store, messages, download);
createOptions(store, {
  download,
  refresh: () => void models.refresh().catch((error) => messages.complain(error, null)),
});
createGallery(store, (at) => void session.switchTo(at).catch((error) => messages.complain(error, null)));
createResults(store, bitmaps, {
  choose,
  again: (key, model) => jobs.more(key, [plainRun(store.get(), model)], true),
});

store.watch((state) => state.prefs, savePrefs, false);
// The photo goes on to fill the room that there is, unless the person has chosen a view.
const room = [
  (/** @type {State} */ state) => state.viewport,
  (/** @type {State} */ state) => Object.values(insets(state)).join(),
];
store.follow(room, refit);
store.watch(
  (state) => state.image,
  (image) => {
    find("empty").hidden = image !== null;
  },
);
store.watch(
  (state) => state.opening,
  (opening) => {
    find("opening").hidden = opening !== "reading";
    setText(find("opening"), t("Opening {name}…", { name: store.get().openingName }));
  },
);

async function begin() {
  const { open_image: given } = boot.config;
  if (given) await session.openFromServer(given);
  else if (!(await session.restoreHere())) await offerLast(store, session, messages);
}

begin().catch((error) => messages.complain(error, null));

// What tests look at; nothing in the page reads it.
const quiet = () => viewer.stage.still() && session.kept();
Object.defineProperty(window, "lama", {
  value: Object.freeze({ state: store.get, stage: viewer.stage, bitmaps, quiet }),
});
