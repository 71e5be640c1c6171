/** The composition root: makes everything from the boot data and joins it together. No decisions are taken here. */

import { createActions } from "./acts/actions.js";
import { createFilling } from "./acts/filling.js";
import { createLooking } from "./acts/looking.js";
import { createBitmaps } from "./canvas/bitmaps.js";
import { initialState, selects } from "./core/state.js";
import { createStore } from "./core/store.js";
import { createApi } from "./net/api.js";
import { createHealth } from "./net/health.js";
import { createUploads } from "./net/uploads.js";
import { createPersistence } from "./session/persist.js";
import { loadPrefs, savePrefs } from "./session/prefs.js";
import { createSession } from "./session/session.js";
import { find, setText, somethingOpen } from "./ui/dom.js";
import { createWaysIn } from "./ui/files.js";
import { createHeader } from "./ui/header.js";
import { speak, t } from "./ui/i18n.js";
import { createKeys } from "./ui/keys.js";
import { createMessages } from "./ui/messages.js";
import { createPanels } from "./ui/panels/panels.js";
import { createToolbar } from "./ui/toolbar.js";
import { createViewer } from "./ui/viewer.js";

/** @typedef {import("./core/state.js").State} State */

const prefs = loadPrefs();
await speak(prefs.language);
// The link with the server's token was opened in a browser that is signed in: keep the token out of sight.
if (location.hash.startsWith("#token=")) history.replaceState(null, "", location.pathname + location.search);
const boot = /** @type {import("./wire/protocol.js").Boot} */ (JSON.parse(find("boot").textContent ?? ""));
/** @type {import("./core/store.js").Store<State>} */
const store = createStore(initialState(boot, prefs));
const messages = createMessages();
const { complain, say, tell } = messages;
const failed = (/** @type {unknown} */ error) => complain(error, null);
const health = createHealth(store);
const api = createApi(health.lost);
const bitmaps = createBitmaps(() => viewer.stage.invalidate("image", "ink"));
const uploads = createUploads(api, (uploaded) => store.update({ uploaded }));
const persistence = createPersistence(() =>
  tell(t("This browser keeps no data"), t("What you paint lasts as long as this page.")),
);

const filling = createFilling({ store, messages, makeJobs, dropStroke: () => viewer.input.cancel() });
const session = createSession({
  store,
  api,
  bitmaps,
  uploads,
  persistence,
  complain,
  say,
  leaving: filling.leave,
  arrived() {
    document.body.dataset.room = "photo";
    viewer.stage.measure();
    looking.arrive();
    filling.armDraft();
    if (!somethingOpen()) find("stage").focus();
    find("hint").hidden = store.get().prefs.hinted;
  },
});

async function makeJobs() {
  const { createJobs } = await import("./jobs/jobs.js");
  return createJobs({
    ...session,
    store,
    api,
    health,
    bitmaps,
    choose: (key, edit) => panels.choosing((acts) => acts.choose(key, edit)),
    settled: messages.settled,
    tell,
    say,
    complain,
  });
}

const viewer = createViewer(store, find("stage"), bitmaps, {
  painted: (shape) => (selects(store.get().tool) ? panels.select(shape) : filling.painted(shape)),
  stroking: (started) => started && filling.stroking(),
  run: (id) => run(id),
  sized: () => looking.showSize(),
  say,
});
const looking = createLooking(store, viewer);
const open = createWaysIn((files) => void session.openFiles(files).catch(failed), messages);
const actions = createActions({ store, filling, looking, input: viewer.input, panels: () => panels, open });
const run = createKeys(store, actions);
const panels = createPanels({
  store,
  bitmaps,
  api,
  messages,
  imageId: session.imageId,
  openPhoto(at, keepZoom) {
    if (keepZoom) looking.carry();
    void session.switchTo(at).catch(failed);
  },
  sessions: () => persistence.list(),
  fileOf: session.work.originalOf,
  loadJobs: filling.loadJobs,
  step: filling.step,
  strokesFreed: filling.armDraft,
  refit: looking.refit,
  keepPatch: session.keepPatch,
  openFiles: (files) => void session.openFiles(files).catch(failed),
  undo: () => run("undo"),
  run,
  uploads,
});
createHeader(store);
createToolbar(store, run, actions, looking.showSize);

store.watch((state) => state.prefs, savePrefs, false);
store.watch(
  (state) => state.opening,
  (opening) => {
    find("opening").hidden = opening !== "reading";
    setText(find("opening"), t("Opening {name}…", { name: store.get().openingName }));
  },
);

async function begin() {
  const { open_image: given, input_dir: folder } = boot.config;
  const [newest] = await persistence.list();
  if (!given && !newest && !folder) return;
  const { createRestoring } = await import("./session/restoring.js");
  const restoring = createRestoring({ store, api, bitmaps, uploads, persistence }, session.work);
  if (await restoring.begin(given)) return;
  if (folder) return find("gallery").showPopover();
  const { offerLast } = await import("./ui/last.js");
  await offerLast(newest, store, restoring, messages);
}

begin().catch(failed);

// What tests look at; nothing in the page reads it.
const quiet = () => viewer.stage.still() && session.kept() && panels.loaded();
Object.defineProperty(window, "lama", {
  value: Object.freeze({ state: store.get, stage: viewer.stage, bitmaps, quiet }),
});
