/** The composition root: makes everything from the boot data and joins it together. No decisions are taken here. */

import { createBitmaps } from "./canvas/bitmaps.js";
import { addShape, clearDraft, commitEdit } from "./core/document.js";
import { canRedo, canUndo, record, recordFill, redo, undo } from "./core/history.js";
import {
  brushDiameter,
  documentOf,
  fillsOnRelease,
  initialState,
  paints,
  resizedBrush,
  selects,
  workingModel,
} from "./core/state.js";
import { createStore } from "./core/store.js";
import { fit, scaleTo, zoomAt } from "./core/view.js";
import { createApi } from "./net/api.js";
import { createHealth } from "./net/health.js";
import { createUploads } from "./net/uploads.js";
import { createPersistence } from "./session/persist.js";
import { loadPrefs, savePrefs } from "./session/prefs.js";
import { createSession } from "./session/session.js";
import { find, setText, somethingOpen } from "./ui/dom.js";
import { createWaysIn } from "./ui/files.js";
import { createHeader } from "./ui/header.js";
import { t, translatePage } from "./ui/i18n.js";
import { createKeys } from "./ui/keys.js";
import { createMessages } from "./ui/messages.js";
import { createPanels, once } from "./ui/panels/panels.js";
import { createToolbar } from "./ui/toolbar.js";
import { createViewer } from "./ui/viewer.js";

const FILL_AFTER_MS = 250;
/** Small photos are shown up to this much larger. */
const FIT_ENLARGES = 2;
/** Around the photo, in screen pixels. */
const AIR = Object.freeze({ top: 4, right: 12, bottom: 4, left: 12 });

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
const bitmaps = createBitmaps(() => viewer.stage.invalidate("image", "ink"));
const uploads = createUploads(api, (uploaded) => store.update({ uploaded }));
const persistence = createPersistence(() =>
  messages.tell(t("This browser keeps no data"), t("What you paint lasts as long as this page.")),
);
const session = createSession({
  store,
  api,
  bitmaps,
  uploads,
  persistence,
  complain: messages.complain,
  say: messages.say,
  leaving,
  arrived() {
    document.body.dataset.room = "photo";
    viewer.stage.measure();
    fitPhoto();
    armDraft();
    if (!somethingOpen()) find("stage").focus();
    find("hint").hidden = store.get().prefs.hinted;
  },
});
/** @type {import("./jobs/jobs.js").Jobs | null} not needed before the first stroke is made */
let jobs = null;
const loadJobs = once(async () => {
  const { createJobs } = await import("./jobs/jobs.js");
  jobs = createJobs({
    store,
    api,
    health,
    bitmaps,
    filled: (edit) =>
      store.update(({ timeline }) => ({ timeline: recordFill(timeline, edit, (doc) => commitEdit(doc, edit)) })),
    choose: (key, edit) => panels.choosing((acts) => acts.choose(key, edit)),
    imageId: () => session.imageId(),
    imageLost: () => session.imageLost(),
    keepPatch: (name, png) => session.keepPatch(name, png),
    settled: messages.settled,
    tell: messages.tell,
    say: messages.say,
    complain: messages.complain,
  });
  return jobs;
});
const fill = () =>
  void loadJobs().then(
    (loaded) => loaded.fill(),
    (error) => messages.complain(error, fill),
  );

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
    fill();
  }, FILL_AFTER_MS);
}

/** What is painted is filled by itself, where the person wants that. */
function armDraft() {
  arm(fillsOnRelease(store.get()) && documentOf(store.get()).draft.length > 0);
}

const selectPorts = {
  store,
  api,
  messages,
  imageId: () => session.imageId(),
  /** @param {readonly import("./core/shapes.js").Shape[]} shapes */
  take: (shapes) => {
    step("select", (doc) => shapes.reduce(addShape, doc));
    armDraft();
  },
};
const loadSelecting = once(async () => (await import("./ui/tools/selecting.js")).createSelecting(selectPorts));
const loadFinding = once(async () => (await import("./ui/tools/finding.js")).createFinding(selectPorts));

/** @param {import("./core/shapes.js").Shape} shape */
function painted(shape) {
  const { tool } = store.get();
  if (selects(tool)) {
    viewer.stage.invalidate("ink");
    loadSelecting().then(
      (loaded) => loaded.select(tool, shape),
      (error) => messages.complain(error, null),
    );
    return;
  }
  step("stroke", (doc) => addShape(doc, shape));
  armDraft();
}

/** Another photo takes the place of this one, whose strokes are kept and filled when it comes back. */
function leaving() {
  viewer.input.cancel();
  arm(false);
  const { jobs: running, image } = store.get();
  if (running.some((job) => job.fresh) && image)
    messages.tell(t("{name} is filled when you come back to it", { name: image.name }));
  jobs?.cancel();
  jobs?.leave();
}

const viewer = createViewer(store, find("stage"), bitmaps, {
  painted,
  stroking: (started) => {
    if (!started) return;
    clearTimeout(releaseTimer);
    find("hint").hidden = true;
    store.update(({ prefs }) => (prefs.hinted ? {} : { prefs: { ...prefs, hinted: true } }));
  },
  run: (id) => run(id),
  say: messages.say,
});

/** The view in which all of the photo is seen. @param {State} state */
const fittedView = ({ image, viewport }) => image && fit(image, viewport, AIR, FIT_ENLARGES / viewer.stage.dpr());

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

function showSize() {
  const state = store.get();
  const diameter = brushDiameter(state);
  viewer.overlay.flashSize(t("{n} px", { n: Math.max(1, Math.round(diameter)) }), diameter * state.view.scale);
}

/** @param {number} steps */
function sizeBrush(steps) {
  store.update(({ prefs }) => ({ prefs: resizedBrush(prefs, steps) }));
  showSize();
}

/** @param {(timeline: State["timeline"]) => State["timeline"]} move */
function travel(move) {
  arm(false);
  jobs?.hold();
  store.update(({ timeline }) => ({ timeline: move(timeline) }));
  armDraft();
}

/** What Escape takes back, the nearest first. */
function cancel() {
  if (viewer.input.cancel()) return;
  const state = store.get();
  if (state.jobs.length > 0) {
    jobs?.cancel();
    messages.tell(
      t("Cancelled"),
      t("What you painted is kept."),
      workingModel(state) ? { label: t("Remove"), act: () => run("run") } : undefined,
    );
  } else if (state.compare.mode !== "off") store.update({ compare: { ...state.compare, mode: "off" } });
  else if (state.selected) store.update({ selected: null });
}

/** The shape that was painted with last. @type {State["tool"]} */
let shape = "brush";
/** @type {import("./core/state.js").SelectTool} */
let selecting = "snap";
store.watch(
  (state) => state.tool,
  (tool) => {
    if (paints(tool)) shape = tool;
    if (selects(tool)) selecting = tool;
    if (tool === "find") loadFinding().catch((error) => messages.complain(error, null));
  },
);
/** @param {State["tool"]} tool */
const choosing = (tool) => () => store.update({ tool });
/** @param {State["compare"]["mode"]} mode */
const comparing = (mode) => store.update(({ compare }) => ({ compare: { ...compare, mode } }));
const chooseFiles = createWaysIn(
  (files) => void session.openFiles(files).catch((error) => messages.complain(error, null)),
  messages,
);

/** @type {import("./ui/keys.js").Actions} */
const actions = {
  "tool-paint": () => store.update({ tool: shape }),
  "tool-brush": choosing("brush"),
  "tool-eraser": choosing("eraser"),
  "tool-rect": choosing("rect"),
  "tool-lasso": choosing("lasso"),
  "tool-select": () => store.update({ tool: selecting }),
  "tool-snap": choosing("snap"),
  "tool-magnet": choosing("magnet"),
  "tool-wand": choosing("wand"),
  "tool-find": choosing("find"),
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
    fill();
    find("stage").focus({ preventScroll: true });
  },
  cancel,
  "cancel-last": () => jobs?.cancelLast(),
  more: () => panels.choosing((acts) => acts.more()),
  "edit-mask": () => panels.choosing((acts) => acts.editMask()),
  "result-previous": () => panels.choosing((acts) => acts.next(-1)),
  "result-next": () => panels.choosing((acts) => acts.next(1)),
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
  download: () => panels.download(),
  "save-as": () => find("save").showPopover(),
  copy: () => panels.copy(),
  help: () => panels.help(),
};
const run = createKeys(store, actions);

const panels = createPanels({
  store,
  bitmaps,
  api,
  messages,
  imageId: () => session.imageId(),
  openPhoto: (at) => void session.switchTo(at).catch((error) => messages.complain(error, null)),
  loadJobs,
  step,
  strokesFreed: armDraft,
  undo: () => run("undo"),
  run,
  uploads,
});
createHeader(store);
createToolbar(store, run, actions, showSize);

store.watch((state) => state.prefs, savePrefs, false);
// The photo goes on to fill the room that there is, unless the person has chosen a view.
store.watch((state) => state.viewport, refit, false);
store.watch(
  (state) => state.opening,
  (opening) => {
    find("opening").hidden = opening !== "reading";
    setText(find("opening"), t("Opening {name}…", { name: store.get().openingName }));
  },
);

async function begin() {
  const { open_image: given } = boot.config;
  const [newest] = await persistence.list();
  if (!given && !newest) return;
  const { createRestoring } = await import("./session/restoring.js");
  const restoring = createRestoring({ store, api, bitmaps, uploads, persistence }, session.work);
  if (given) await restoring.openFromServer(given);
  else if (!(await restoring.restoreHere())) {
    const { offerLast } = await import("./ui/last.js");
    await offerLast(newest, store, restoring, messages);
  }
}

begin().catch((error) => messages.complain(error, null));

// What tests look at; nothing in the page reads it.
const quiet = () => viewer.stage.still() && session.kept() && panels.loaded();
Object.defineProperty(window, "lama", {
  value: Object.freeze({ state: store.get, stage: viewer.stage, bitmaps, quiet }),
});
