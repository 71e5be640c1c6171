/**
 * What is filled, and when, while the person goes on painting.
 *
 * Strokes that touch are one fill, and strokes that do not are fills of their own. A few are under way at once: as many
 * as do not see one another, so that none takes for known what another is about to remove. The others wait here, where
 * strokes that touch them still become part of them. Further results of an edit that exists are asked for beside that.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/state.js").Job} Job
 * @typedef {import("../wire/protocol.js").Run} Run
 * @typedef {import("../core/shapes.js").Shape} Shape
 * @typedef {object} Wanted
 * @property {string} key
 * @property {readonly Shape[]} shapes
 * @property {readonly string[]} parents
 * @property {readonly Run[]} runs
 * @property {boolean} fresh      the shapes are in the draft; otherwise more results for an edit that exists
 * @property {boolean} show       show the first result when it comes, where that can be done without touching other edits
 *
 * @typedef {object} Ports        what jobs needs of the rest
 * @property {import("../core/store.js").Store<State>} store
 * @property {import("../net/api.js").Api} api
 * @property {import("../net/health.js").Health} health
 * @property {import("../canvas/bitmaps.js").Bitmaps} bitmaps
 * @property {() => Promise<string>} imageId      brings the photo to the server if need be
 * @property {() => void} imageLost               the server does not have it after all
 * @property {(key: string, edit: string) => void} choose  another result of an edit is shown
 * @property {(name: string, png: Blob) => Promise<void>} keepPatch  done when it can be drawn
 * @property {() => void} settled  a fill succeeded
 * @property {(words: string) => void} say
 * @property {(title: string, line: string) => void} tell
 * @property {(error: unknown, retry: (() => void) | null) => void} complain
 */

import { newKey, parentsOf, shownEdits } from "../core/document.js";
import { bounds, unionBounds } from "../core/shapes.js";
import { documentOf, workingModel } from "../core/state.js";
import { overlaps } from "../core/view.js";
import { t } from "../core/words.js";
import { finer } from "../edits/refined.js";
import { ApiError } from "../wire/protocol.js";
import { groups, near } from "./groups.js";
import { createRunner } from "./runner.js";
import { freshRuns } from "./runs.js";
import { createSaver } from "./saver.js";

/** Under way at once: a server with one worker has the next one at hand, one with several fills them together. */
const MOST_AT_ONCE = 2;

/** Why a fill ends: what it was made for is not what is shown any more. It begins anew. */
const CHANGED = "changed";

/** @typedef {ReturnType<typeof createJobs>} Jobs */

/** @param {Ports} ports */
export function createJobs(ports) {
  const { store } = ports;
  const saver = createSaver(ports);
  const runner = createRunner(ports, saver.choose);
  /** @type {Wanted[]} */
  const extra = [];
  /** @type {Map<number, {lane: number, controller: AbortController}>} by the job's number */
  const running = new Map();
  let numbers = 0;

  const next = () => {
    while (running.size < MOST_AT_ONCE) {
      const wanted = extra.shift() ?? takeGroup();
      if (!wanted) return;
      begin(wanted);
    }
  };

  /** @param {Wanted} wanted */
  const begin = (wanted) => {
    const number = ++numbers;
    const lane = [...running.values()].some((other) => other.lane === 0) ? 1 : 0;
    const controller = new AbortController();
    running.set(number, { lane, controller });
    runner
      .perform(number, lane, wanted, controller.signal)
      .catch((error) => {
        if (!controller.signal.aborted) ports.complain(error, () => again(wanted));
      })
      .finally(() => {
        running.delete(number);
        runner.forget(number);
        if (controller.signal.reason === CHANGED) again(wanted);
        next();
        if (running.size === 0) store.update({ regionsDone: 0 });
      });
  };

  /** @param {Wanted} wanted */
  const again = (wanted) => {
    if (wanted.fresh) return ask(wanted.shapes);
    extra.push(wanted);
    next();
  };

  /** Fills these strokes: at once and together where nothing is under way. @param {readonly Shape[]} shapes */
  const ask = (shapes) => {
    const asked = new Set([...store.get().queued, ...shapes]);
    const left = unfilled(store.get()).filter((shape) => asked.has(shape));
    if (running.size > 0) {
      store.update({ queued: left });
      return next();
    }
    const wanted = fillOf(left);
    if (wanted) begin(wanted);
  };

  /** The first group of those that wait which no running fill sees. @returns {Wanted | null} */
  const takeGroup = () => {
    const state = store.get();
    if (state.queued.length === 0) return null;
    const fresh = state.jobs.filter((job) => job.fresh);
    const group = groups(state.queued, growthOf(state)).find((shapes) => {
      const box = unionBounds(shapes);
      return box && !fresh.some((job) => near(job.box, box));
    });
    if (!group && fresh.length > 0) return null;
    const taken = new Set(group ?? state.queued); // erasures alone are nothing to fill
    store.update({ queued: state.queued.filter((shape) => !taken.has(shape)) });
    return group ? fillOf(group) : null;
  };

  /** @param {readonly Shape[]} shapes of the draft @returns {Wanted | null} */
  const fillOf = (shapes) => {
    const state = store.get();
    const model = workingModel(state);
    if (!state.image || !unionBounds(shapes)) return null;
    if (!model) {
      store.update({ queued: [] });
      ports.complain(new ApiError({ code: "model.not_downloaded", title: t("No model is ready") }), null);
      return null;
    }
    const parents = shownEdits(documentOf(state));
    return { key: newKey(), shapes, parents, runs: freshRuns(state, model), fresh: true, show: true };
  };

  // A fill of strokes that were undone, cleared or erased meanwhile is of no use any more.
  store.watch(documentOf, (doc) => {
    for (const job of store.get().jobs) {
      if (job.fresh && !stillWanted(job, doc)) running.get(job.number)?.controller.abort();
      else if (job.fresh && !isCurrent(job, doc)) running.get(job.number)?.controller.abort(CHANGED);
    }
    if (store.get().queued.length === 0) return;
    const rest = new Set(doc.draft);
    store.update(({ queued }) => ({ queued: queued.filter((shape) => rest.has(shape)) }));
    next(); // what waited for a fill that is a step now
  });

  return {
    /** Fill what is painted, once it is as fine as it will be: all of it at once, or what is not under way as soon as that can be. */
    fill() {
      const { image } = store.get();
      const { draft } = documentOf(store.get());
      const coming = finer(draft);
      if (coming) void coming.then(() => store.get().image?.key === image?.key && this.fill());
      else ask(draft);
    },
    /**
     * Further results for an edit of the document.
     * @param {string} key @param {readonly Run[]} runs @param {boolean} show
     */
    more(key, runs, show) {
      const doc = documentOf(store.get());
      const edit = doc.edits.find((each) => each.key === key);
      const parents = parentsOf(doc, key);
      if (!edit || !parents) return;
      extra.push({ key, shapes: edit.shapes, parents, runs, fresh: false, show });
      next();
    },
    /** Everything that is under way, and what waits. */
    cancel() {
      extra.length = 0;
      store.update({ queued: [] });
      for (const { controller } of running.values()) controller.abort();
    },
    /** What was asked for last. */
    cancelLast() {
      const { queued } = store.get();
      const group = groups(queued, growthOf(store.get())).at(-1) ?? [];
      if (extra.pop()) return;
      if (group.length > 0) store.update({ queued: queued.filter((shape) => !group.includes(shape)) });
      else [...running.values()].at(-1)?.controller.abort();
    },
    /** Forgets that strokes wait to be filled. */
    hold: () => store.update({ queued: [] }),
    /** The photo is left: what is to be saved is saved now. */
    leave: saver.flush,
    /** Another result is shown because the person wants it. */
    chosen: saver.choose,
  };
}

/** What is painted and not being filled. @param {State} state */
function unfilled(state) {
  const busy = new Set(state.jobs.flatMap((job) => (job.fresh ? job.shapes : [])));
  return documentOf(state).draft.filter((shape) => !busy.has(shape));
}

/** By how much the mask of a fill is grown. @param {State} state */
const growthOf = (state) => state.prefs.growPx ?? workingModel(state)?.grow_px ?? 0;

/** Whether all that it fills is painted, and nothing of it was erased. @param {Job} job @param {import("../core/document.js").Doc} doc */
function stillWanted({ shapes, box }, doc) {
  const rest = new Set(doc.draft);
  if (!shapes.every((shape) => rest.has(shape))) return false;
  const later = doc.draft.slice(doc.draft.indexOf(shapes[shapes.length - 1]) + 1);
  return !later.some((shape) => shape.op === "sub" && overlaps(bounds(shape), box));
}

/** Whether it sees the photo as it is shown. @param {Job} job @param {import("../core/document.js").Doc} doc */
function isCurrent({ parents, box }, doc) {
  const shown = new Set(shownEdits(doc));
  if (!parents.every((parent) => shown.has(parent))) return false;
  const known = new Set(parents);
  const later = doc.edits.filter((edit) => !known.has(edit.chosen));
  if (later.some(({ extend }) => extend)) return false; // it lies on another canvas
  const added = later.map((edit) => unionBounds(edit.shapes));
  return !added.some((other) => other && near(other, box));
}
