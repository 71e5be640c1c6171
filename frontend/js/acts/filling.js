/**
 * From a stroke to a fill: strokes become steps, and what is painted is filled by itself once no stroke has followed for
 * a moment, where the person wants that.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/document.js").Doc} Doc
 * @typedef {import("../jobs/jobs.js").Jobs} Jobs
 * @typedef {object} Ports
 * @property {import("../core/store.js").Store<State>} store
 * @property {import("../ui/messages.js").Messages} messages
 * @property {() => Promise<Jobs>} makeJobs  not needed before the first stroke is made
 * @property {() => boolean} dropStroke      the one that is being made; whether there was one
 */

import { canvasOf } from "../core/canvas.js";
import { addShape, addSource, clearDraft, clearSource } from "../core/document.js";
import { canRedo, canUndo, record, redo, undo } from "../core/history.js";
import { documentOf, fillsOnRelease, marks } from "../core/state.js";
import { find } from "../ui/dom.js";
import { t, w } from "../ui/i18n.js";
import { once } from "../ui/panels/panels.js";

const FILL_AFTER_MS = 250;

/** @typedef {ReturnType<typeof createFilling>} Filling */

/** @param {Ports} ports */
export function createFilling({ store, messages, makeJobs, dropStroke }) {
  /** @type {Jobs | null} */
  let jobs = null;
  const loadJobs = once(async () => {
    jobs = await makeJobs();
    return jobs;
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let releaseTimer;

  const fill = () =>
    void loadJobs().then(
      (loaded) => loaded.fill(),
      (error) => messages.complain(error, fill),
    );

  /** @param {boolean} armed */
  const arm = (armed) => {
    clearTimeout(releaseTimer);
    store.update({ armed });
    if (!armed) return;
    releaseTimer = setTimeout(() => {
      store.update({ armed: false });
      fill();
    }, FILL_AFTER_MS);
  };

  /** What is painted is filled by itself, where the person wants that. */
  const armDraft = () => arm(fillsOnRelease(store.get()) && documentOf(store.get()).draft.length > 0);

  /**
   * A step of the person's: the document changes, and undo takes it back.
   * @param {string} label @param {(doc: Doc) => Doc} change
   * @param {string} [of] steps of one label and one `of` in a row are one
   */
  const step = (label, change, of) =>
    store.update(({ timeline }) => ({ timeline: record(timeline, label, change(documentOf(store.get())), of) }));

  /** @param {(timeline: State["timeline"]) => State["timeline"]} move */
  const travel = (move) => {
    arm(false);
    jobs?.hold();
    store.update(({ timeline }) => ({ timeline: move(timeline) }));
    armDraft();
  };

  /** Asked for by the person: at once. */
  const fillNow = () => {
    arm(false);
    fill();
    find("stage").focus({ preventScroll: true });
  };

  return {
    loadJobs,
    step,
    armDraft,
    fillNow,

    /** @param {import("../core/shapes.js").Shape} shape */
    painted(shape) {
      const side = marks(store.get().tool);
      if (side) return step(w("source"), (doc) => addSource(doc, side, shape));
      step(w("stroke"), (doc) => addShape(doc, shape));
      armDraft();
    },

    /** A stroke has begun: nothing is filled under it, and the hint has been understood. */
    stroking() {
      clearTimeout(releaseTimer);
      find("hint").hidden = true;
      store.update(({ prefs }) => (prefs.hinted ? {} : { prefs: { ...prefs, hinted: true } }));
    },

    clear() {
      arm(false);
      step(w("clear"), marks(store.get().tool) ? clearSource : clearDraft);
    },
    async invert() {
      const { invertDraft } = await import("../edits/inverted.js");
      arm(false);
      step(w("invert"), (doc) => invertDraft(doc, canvasOf(store.get())));
    },
    undo: () => canUndo(store.get().timeline) && travel(undo),
    redo: () => canRedo(store.get().timeline) && travel(redo),
    cancelLast: () => jobs?.cancelLast(),

    /** Whether there was anything to cancel. */
    cancel() {
      if (store.get().jobs.length === 0) return false;
      jobs?.cancel();
      messages.tell(t("Cancelled"), t("What you painted is kept."));
      return true;
    },

    /** Another photo takes the place of this one, whose strokes are kept and filled when it comes back. */
    leave() {
      dropStroke();
      arm(false);
      const { jobs: running, image } = store.get();
      if (running.some((job) => job.fresh) && image)
        messages.tell(t("{name} is filled when you come back to it", { name: image.name }));
      jobs?.cancel();
      jobs?.leave();
    },
  };
}
