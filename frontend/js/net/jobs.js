/**
 * One fill at a time, in order, while the person goes on painting.
 *
 * Two kinds of work wait here: "fill the draft", which is one flag, since strokes painted meanwhile simply become part
 * of the next fill; and explicit requests for further results of an edit. Results come in as lines of a stream; the
 * first one of a fresh fill becomes a step of the timeline, the others only join the list of results.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/state.js").Job} Job
 * @typedef {import("../core/state.js").JobRun} JobRun
 * @typedef {import("../core/state.js").Result} Result
 * @typedef {import("../core/protocol.js").Run} Run
 * @typedef {import("../core/protocol.js").ResultLine} ResultLine
 * @typedef {import("../core/protocol.js").SavedLine} SavedLine
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
 * @property {import("./api.js").Api} api
 * @property {import("./health.js").Health} health
 * @property {() => Promise<string>} imageId      brings the photo to the server if need be
 * @property {() => void} imageLost               the server does not have it after all
 * @property {(edit: import("../core/document.js").Edit) => void} filled   an edit becomes part of the document
 * @property {(key: string, edit: string) => void} choose  another result of an edit is shown
 * @property {(name: string, png: Blob) => Promise<void>} keepPatch  done when it can be drawn
 * @property {(blob: Blob, name: string) => string} previewUrl
 * @property {(blob: Blob, box: import("../core/view.js").Box) => Promise<void>} showEstimate  in the picture
 * @property {() => void} clearEstimates
 * @property {() => void} settled  a fill succeeded
 * @property {(words: string) => void} say
 * @property {(title: string, line: string) => void} tell
 * @property {(error: unknown, retry: (() => void) | null) => void} complain
 */

import { beside } from "../core/canvas.js";
import { parentsOf, shownEdits } from "../core/document.js";
import { endOfStage, estimate, marked, remember } from "../core/eta.js";
import { ApiError, editRequest, readLine } from "../core/protocol.js";
import { bounds, unionBounds } from "../core/shapes.js";
import { chosenParams, documentOf, findModel, patchesOf, workingModel } from "../core/state.js";
import { overlaps } from "../core/view.js";
import { API } from "./api.js";
import { readLines } from "./ndjson.js";

/** @typedef {ReturnType<typeof createJobs>} Jobs */

/** @param {Ports} ports */
export function createJobs(ports) {
  const { store } = ports;
  /** @type {Wanted[]} */
  const waiting = [];
  let draftWanted = false;
  let jobs = 0;
  /** @type {AbortController | null} */
  let running = null;

  const next = () => {
    if (running) return;
    const wanted = waiting.shift() ?? (draftWanted ? takeDraft() : null);
    draftWanted &&= wanted !== null && !wanted.fresh;
    if (!wanted) return;
    const controller = new AbortController();
    running = controller;
    perform(wanted, controller.signal)
      .catch((error) => {
        if (!controller.signal.aborted) ports.complain(error, () => again(wanted));
      })
      .finally(() => {
        running = null;
        ports.clearEstimates();
        store.update({ job: null });
        next();
      });
  };

  /** @param {Wanted} wanted */
  const again = (wanted) => {
    if (wanted.fresh) draftWanted = true;
    else waiting.push(wanted);
    next();
  };

  /** @returns {Wanted | null} */
  const takeDraft = () => {
    const state = store.get();
    const doc = documentOf(state);
    const model = workingModel(state);
    if (!state.image || !unionBounds(doc.draft)) return null;
    if (!model) {
      ports.complain(new ApiError({ code: "model.not_downloaded", title: "No model is ready" }), null);
      return null;
    }
    const wanted = model.stochastic ? Math.max(1, state.prefs.resultsPerFill) : 1;
    const seed = state.prefs.seeds[model.name];
    const runs = Array.from({ length: wanted }, (_, i) =>
      plainRun(state, model.name, seed === undefined ? seed : seed + i),
    );
    return { key: newKey(), shapes: doc.draft, parents: shownEdits(doc), runs, fresh: true, show: true };
  };

  /** @param {Wanted} wanted @param {AbortSignal} signal */
  const perform = async (wanted, signal) => {
    jobs += 1;
    const state = store.get();
    const box = unionBounds(wanted.shapes) ?? { x: 0, y: 0, width: 1, height: 1 };
    const work = { ...wanted.runs[0], strategy: state.prefs.strategy };
    /** @type {Job} */
    const job = {
      number: jobs,
      key: wanted.key,
      shapes: wanted.shapes,
      parents: wanted.parents,
      fresh: wanted.fresh,
      box,
      startedAt: performance.now(),
      position: null,
      usual: estimate(state.prefs.timings, work, box.width * box.height),
      runs: wanted.runs.map(({ model, seed }) => ({
        model,
        seed,
        status: "waiting",
        stage: "",
        fraction: -1,
        mark: null,
        endsAt: null,
        preview: null,
      })),
    };
    store.update({ job });
    ports.say("Removing…");
    try {
      await stream(wanted, signal);
    } catch (error) {
      const known = error instanceof ApiError ? error.code : "";
      if (signal.aborted || (known !== "page.unreachable" && known !== "image.not_found")) throw error;
      if (known === "image.not_found") ports.imageLost();
      await untilAborted(ports.health.back(), signal);
      await stream(remaining(wanted), signal);
    }
  };

  /** What is still to do after a stream broke. @param {Wanted} wanted @returns {Wanted} */
  const remaining = (wanted) => {
    const left = wanted.runs.filter((_, i) => store.get().job?.runs[i].status !== "done");
    const fresh = wanted.fresh && parentsOf(documentOf(store.get()), wanted.key) === null;
    store.update(({ job }) => ({ job: job && { ...job, runs: job.runs.filter((run) => run.status !== "done") } }));
    return { ...wanted, runs: left, fresh };
  };

  /** @param {Wanted} wanted @param {AbortSignal} signal */
  const stream = async (wanted, signal) => {
    if (wanted.runs.length === 0) return;
    const image = await untilAborted(ports.imageId(), signal);
    const { prefs } = store.get();
    const body = editRequest({
      ...wanted,
      image,
      growPx: beside(store.get(), wanted.shapes) ? 0 : prefs.growPx, // what lies beside the photo is exact
      featherPx: prefs.featherPx,
      strategy: prefs.strategy,
      quickLook: prefs.quickLook,
    });
    const response = await ports.api.post(`${API}/edits`, body, signal);
    const progress = { ended: 0 };
    /** @type {ApiError[]} */
    const failures = [];
    const lines = readLines(/** @type {ReadableStream<Uint8Array>} */ (response.body));
    try {
      while (progress.ended < wanted.runs.length) {
        const { value, done } = await lines.next();
        if (done) break;
        await take(readLine(value), wanted, signal, progress, failures);
      }
    } catch (error) {
      void lines.return();
      throw error instanceof ApiError ? error : ports.api.gaveUp(error, signal);
    }
    void listenForSaves(lines);
    if (failures.length > 0) throw failures[0];
    if (progress.ended < wanted.runs.length) throw ports.api.gaveUp(new Error("The stream ended early."), signal);
  };

  /**
   * @param {import("../core/protocol.js").Line | null} line @param {Wanted} wanted @param {AbortSignal} signal
   * @param {{ended: number}} progress @param {ApiError[]} failures
   */
  const take = async (line, wanted, signal, progress, failures) => {
    if (signal.aborted || !line) return;
    if (line.type === "queued") updateJob({ position: line.position });
    else if (line.type === "progress") {
      updateJob({ position: null });
      updateRun(line.run, { status: "running", ...progressed(store.get().job?.runs[line.run].mark ?? null, line) });
    } else if (line.type === "preview") {
      await showPreview(line, signal);
    } else if (line.type === "result") {
      await receive(line, wanted, signal);
      ports.clearEstimates();
      updateRun(line.run, { status: "done", fraction: 1 });
      progress.ended += 1;
    } else if (line.type === "saved") {
      takeSaved(line);
    } else {
      failures.push(new ApiError(line.problem));
      if (line.run === null) progress.ended = wanted.runs.length;
      else {
        updateRun(line.run, { status: "failed" });
        progress.ended += 1;
      }
    }
  };

  /** An estimate, beside the other results and, where the first result will be, in the picture. @param {import("../core/protocol.js").PreviewLine} line @param {AbortSignal} signal */
  const showPreview = async ({ url, run, x, y, w, h }, signal) => {
    try {
      const blob = await ports.api.blob(url, { signal });
      updateRun(run, { preview: ports.previewUrl(blob, `preview-${run}`) });
      if (store.get().job?.fresh) await ports.showEstimate(blob, { x, y, width: w, height: h });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "route.not_found") throw error; // else newer ones came before it was fetched
    }
  };

  /**
   * What is left of a stream when every run has ended: files are still being written, and nobody waits for them.
   * @param {AsyncGenerator<string, void, void>} lines
   */
  const listenForSaves = async (lines) => {
    try {
      for await (const text of lines) {
        const line = readLine(text);
        if (line?.type === "saved") takeSaved(line);
      }
    } catch {
      // the connection broke: the results are here, and the server saves them all the same
    }
  };

  /** @param {SavedLine} line */
  const takeSaved = (line) => {
    if (line.saved) {
      store.update({ savedAs: line.saved.name });
      const { name, reencoded } = line.saved;
      if (reencoded) ports.tell(`Saved as ${name}.`, `The whole JPEG was encoded anew: ${reencoded}.`);
      else ports.say(`Saved as ${name}.`);
    }
    if (line.save_error) ports.complain(new ApiError(line.save_error), null);
  };

  /** @param {ResultLine} line @param {Wanted} wanted @param {AbortSignal} signal */
  const receive = async (line, wanted, signal) => {
    const { model, seed, ms, load_ms, strategy, patches, edit } = line;
    /** @type {Result} */
    const result = { edit, model, seed, ms, strategy, patches, params: wanted.runs[line.run].params ?? {} };
    const kept = patchesOf(result).map(async ({ name, url }) =>
      ports.keepPatch(name, await ports.api.blob(url, { signal })),
    );
    await Promise.all(kept);
    if (signal.aborted) return;
    addResult(wanted, result);
    learn(wanted, result, ms - load_ms);
    show(wanted, edit);
    ports.settled();
    const title = findModel(store.get(), model)?.title ?? model;
    ports.say(`Done in ${(ms / 1000).toFixed(1)} s with ${title}.`);
  };

  /** @param {Wanted} wanted @param {Result} result */
  const addResult = ({ key }, result) =>
    store.update(({ results }) => {
      const list = results[key] ?? [];
      const known = list.some((each) => each.edit === result.edit);
      return known ? {} : { results: { ...results, [key]: [...list, result] } };
    });

  /** @param {Wanted} wanted @param {Result} result @param {number} ms without loading the model, which happens once */
  const learn = ({ shapes }, { model, params }, ms) =>
    store.update(({ prefs }) => {
      const box = unionBounds(shapes) ?? { width: 1, height: 1 };
      const work = { model, params, strategy: prefs.strategy };
      return { prefs: { ...prefs, timings: remember(prefs.timings, work, box.width * box.height, ms) } };
    });

  /** @param {Wanted} wanted @param {string} edit */
  const show = (wanted, edit) => {
    const doc = documentOf(store.get());
    const committed = parentsOf(doc, wanted.key) !== null;
    if (wanted.fresh && !committed) {
      if (store.get().results[wanted.key].length > 1) return; // undone meanwhile: its results wait for redo
      updateJob({ fresh: false });
      ports.filled({ key: wanted.key, shapes: wanted.shapes, chosen: edit });
      if (wanted.runs.length > 1) store.update({ selected: wanted.key });
    } else if (!wanted.fresh && wanted.show && doc.edits.at(-1)?.key === wanted.key) {
      wanted.show = false;
      ports.choose(wanted.key, edit);
    }
  };

  /** @param {Partial<Job>} change */
  const updateJob = (change) => store.update(({ job }) => ({ job: job && { ...job, ...change } }));
  /** @param {number} index @param {Partial<JobRun>} change */
  const updateRun = (index, change) =>
    store.update(({ job }) => ({
      job: job && { ...job, runs: job.runs.map((run, i) => (i === index ? { ...run, ...change } : run)) },
    }));

  const cancel = () => {
    waiting.length = 0;
    draftWanted = false;
    running?.abort();
  };

  // A fill of strokes that were undone, cleared or erased meanwhile is of no use to anybody.
  store.watch(documentOf, (doc) => {
    const { job } = store.get();
    if (job?.fresh && !stillWanted(job, doc)) running?.abort();
  });

  return {
    /** Fill what is painted, now or as soon as the running fill is done. */
    fill() {
      draftWanted = true;
      next();
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
      waiting.push({ key, shapes: edit.shapes, parents, runs, fresh: false, show });
      next();
    },
    cancel,
    /** Forgets that strokes wait to be filled. */
    hold() {
      draftWanted = false;
    },
    busy: () => running !== null,
  };
}

/** @param {import("../core/eta.js").Mark | null} last @param {import("../core/protocol.js").ProgressLine} line */
function progressed(last, { stage, step, total }) {
  const now = performance.now();
  const fraction = total > 0 ? step / total : -1;
  const mark = marked(last, stage, fraction, now);
  return { stage, fraction, mark, endsAt: endOfStage(mark, fraction, now) };
}

/** @param {Job} job @param {import("../core/document.js").Doc} doc */
function stillWanted(job, doc) {
  const rest = new Set(doc.draft);
  if (!job.shapes.every((shape) => rest.has(shape))) return false;
  if (shownEdits(doc).join() !== job.parents.join()) return false;
  const later = doc.draft.slice(doc.draft.indexOf(job.shapes[job.shapes.length - 1]) + 1);
  return !later.some((shape) => shape.op === "sub" && overlaps(bounds(shape), job.box));
}

/** @param {State} state @param {string} name @param {number} [seed] @returns {Run} */
export function plainRun(state, name, seed) {
  const model = findModel(state, name);
  const params = model ? chosenParams(state, model) : {};
  return {
    model: name,
    ...(Object.keys(params).length > 0 ? { params } : {}),
    ...(seed === undefined ? {} : { seed }),
  };
}

/** Unique in this browser; not a secret, and made without what plain http lacks. */
export const newKey = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;

/** @template T @param {Promise<T>} promise @param {AbortSignal} signal @returns {Promise<T>} */
function untilAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException("Cancelled", "AbortError"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject);
  });
}
