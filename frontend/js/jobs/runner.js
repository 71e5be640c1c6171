/**
 * One fill from request to result: its line in the state while it is under way, and what its stream tells.
 *
 * @typedef {import("../core/state.js").State} State
 * @typedef {import("../core/state.js").Job} Job
 * @typedef {import("../core/state.js").JobRun} JobRun
 * @typedef {import("../wire/protocol.js").Line} Line
 * @typedef {import("./jobs.js").Wanted} Wanted
 * @typedef {object} Progress         of one stream
 * @property {number} ended           runs that have
 * @property {ApiError[]} failures
 * @property {Map<string, Promise<Blob | null>>} blobs  patches that came before their result, by address
 * @property {Promise<void>[]} coming  patches that are being fetched
 */

import { parentsOf, sourceOf } from "../core/document.js";
import { unionBounds } from "../core/shapes.js";
import { documentOf, findModel, patchName, sourceIsMarked } from "../core/state.js";
import { t } from "../core/words.js";
import { beside } from "../edits/extending.js";
import { API } from "../net/api.js";
import { readLines } from "../net/ndjson.js";
import { ApiError } from "../wire/protocol.js";
import { editRequest, readLine } from "../wire/requests.js";
import { endOfStage, estimate, marked } from "./eta.js";
import { groups, paintedArea } from "./groups.js";
import { createReceiver } from "./receiver.js";

/** @param {import("./jobs.js").Ports} ports @param {(edit: string) => void} choose as of the receiver */
export function createRunner(ports, choose) {
  const { store, api, bitmaps } = ports;
  const receiver = createReceiver(ports, choose);

  /** @param {number} number @param {(job: Job) => Partial<Job>} change */
  const update = (number, change) =>
    store.update(({ jobs }) => ({
      jobs: jobs.map((job) => (job.number === number ? { ...job, ...change(job) } : job)),
    }));
  /** @param {number} number @param {number} index @param {(run: JobRun) => Partial<JobRun>} change */
  const updateRun = (number, index, change) =>
    update(number, ({ runs }) => ({ runs: runs.map((run, i) => (i === index ? { ...run, ...change(run) } : run)) }));
  /** @param {number} number */
  const find = (number) => store.get().jobs.find((job) => job.number === number);

  /**
   * Rejects when it could not be done. A server that went away is waited for, and one that lost the photo gets it again.
   * @param {number} number @param {number} lane @param {Wanted} wanted @param {AbortSignal} signal
   */
  const perform = async (number, lane, wanted, signal) => {
    const job = newJob(store.get(), number, wanted);
    store.update(({ jobs }) => ({ jobs: [...jobs, job] }));
    ports.say(t("Removing…"));
    try {
      await stream(number, lane, wanted, signal);
    } catch (error) {
      const known = error instanceof ApiError ? error.code : "";
      if (signal.aborted || (known !== "page.unreachable" && known !== "image.not_found")) throw error;
      if (known === "image.not_found") ports.imageLost();
      await untilAborted(ports.health.back(), signal);
      await stream(number, lane, remaining(number, wanted), signal);
    }
  };

  /** What is still to do after a stream broke. @param {number} number @param {Wanted} wanted @returns {Wanted} */
  const remaining = (number, wanted) => {
    const left = wanted.runs.filter((_, i) => find(number)?.runs[i].status !== "done");
    const fresh = wanted.fresh && parentsOf(documentOf(store.get()), wanted.key) === null;
    dropEarly(number);
    update(number, ({ runs }) => ({ runs: runs.filter((run) => run.status !== "done") }));
    return { ...wanted, runs: left, fresh };
  };

  /** @param {number} number @param {number} lane @param {Wanted} wanted @param {AbortSignal} signal */
  const stream = async (number, lane, wanted, signal) => {
    if (wanted.runs.length === 0) return;
    const image = await untilAborted(ports.imageId(), signal);
    const state = store.get();
    const { prefs, config } = state;
    const growPx = beside(state, wanted.shapes) ? 0 : prefs.growPx; // the photo meets its new border exactly
    const copies = wanted.runs.every(({ model }) => findModel(state, model)?.source_control);
    const source = copies && sourceIsMarked(state) ? sourceOf(documentOf(state)) : undefined;
    const body = editRequest({ ...prefs, growPx, source, ...wanted, image, save: !config.output_dir });
    const response = await api.post(`${API}/edits`, body, signal, lane);
    /** @type {Progress} */
    const progress = { ended: 0, failures: [], blobs: new Map(), coming: [] };
    const lines = readLines(/** @type {ReadableStream<Uint8Array>} */ (response.body));
    try {
      while (progress.ended < wanted.runs.length) {
        const { value, done } = await lines.next();
        if (done) break;
        await take(readLine(value), number, wanted, signal, progress);
      }
    } catch (error) {
      throw error instanceof ApiError ? error : api.gaveUp(error, signal);
    } finally {
      void lines.return();
    }
    if (progress.failures.length > 0) throw progress.failures[0];
    if (progress.ended < wanted.runs.length) throw api.gaveUp(new Error("The stream ended early."), signal);
  };

  /** @param {Line | null} line @param {number} number @param {Wanted} wanted @param {AbortSignal} signal @param {Progress} progress */
  const take = async (line, number, wanted, signal, progress) => {
    if (signal.aborted || !line) return;
    switch (line.type) {
      case "queued":
        return update(number, () => ({ position: line.position, startedAt: performance.now() }));
      case "progress":
        update(number, () => ({ position: 0 }));
        return updateRun(number, line.run, ({ mark }) => ({ status: "running", ...progressed(mark, line) }));
      case "preview":
        return showPreview(number, line, signal);
      case "patch": {
        const coming = showPatch(number, line, signal, progress);
        coming.catch(() => {}); // told when the result waits for it; without a result it does not matter
        progress.coming.push(coming);
        return;
      }
      case "saved":
        return;
      case "result": {
        const result = /** @type {import("../wire/protocol.js").FillLine} */ (line);
        const all = receiver.fetchPatches(result, signal, progress.blobs);
        const [wantedStill] = await Promise.all([all, ...progress.coming.splice(0)]);
        if (!wantedStill) return;
        bitmaps.clearEstimates(number);
        update(number, ({ regions }) => ({ fresh: false, early: [], regionsDone: regions }));
        updateRun(number, line.run, () => ({ status: "done", fraction: 1 }));
        receiver.receive(result, wanted);
        break;
      }
      case "error":
        progress.failures.push(new ApiError(line.problem));
        if (line.run === null) progress.ended = wanted.runs.length;
        else updateRun(number, line.run, () => ({ status: "failed" }));
    }
    progress.ended += 1;
  };

  /** An estimate, beside the other results and, where the first result will be, in the picture. @param {number} number @param {import("../wire/protocol.js").PreviewLine} line @param {AbortSignal} signal */
  const showPreview = async (number, { url, run, x, y, w, h }, signal) => {
    const blob = await fetched(url, signal);
    if (!blob) return;
    updateRun(number, run, () => ({ preview: bitmaps.url(blob, `preview-${number}-${run}`) }));
    if (find(number)?.fresh) await bitmaps.addEstimate(number, blob, { x, y, width: w, height: h });
  };

  /** A region that is finished while others are not. @param {number} number @param {import("../wire/protocol.js").PatchLine} line @param {AbortSignal} signal @param {Progress} progress */
  const showPatch = async (number, { url, edit, index, of, run, x, y, w, h }, signal, { blobs }) => {
    const first = run === 0 && (find(number)?.fresh ?? false);
    const coming = fetched(url, signal);
    blobs.set(url, coming);
    const blob = await coming;
    if (!blob || !first) return;
    const name = patchName(edit, index);
    await bitmaps.addPatch(name, blob);
    if (signal.aborted || !find(number)) return bitmaps.dropPatches([name]);
    const box = { x, y, width: w, height: h };
    update(number, ({ early }) => ({
      early: [...early.filter((each) => each.name !== name), { name, box }],
      regions: of,
      regionsDone: new Set([...early.map((each) => each.name), name]).size,
    }));
  };

  /** Null when it is gone already: newer ones came before it was fetched. @param {string} url @param {AbortSignal} signal */
  const fetched = async (url, signal) => {
    try {
      return await api.blob(url, { signal });
    } catch (error) {
      const code = error instanceof ApiError ? error.code : "";
      if (code === "route.not_found" || code === "edit.not_found") return null;
      throw error;
    }
  };

  /** @param {number} number */
  const dropEarly = (number) => {
    const early = find(number)?.early ?? [];
    update(number, () => ({ early: [], regionsDone: 0 }));
    bitmaps.dropPatches(early.map(({ name }) => name));
  };

  return {
    perform,
    /** A job that has ended leaves nothing but its results. @param {number} number */
    forget(number) {
      const job = find(number);
      dropEarly(number);
      bitmaps.clearEstimates(number);
      for (const run of job?.runs.keys() ?? []) bitmaps.release(`preview-${number}-${run}`);
      store.update(({ jobs, regionsDone }) => ({
        jobs: jobs.filter((each) => each.number !== number),
        regionsDone: regionsDone + (job && !job.fresh ? job.regionsDone : 0),
      }));
    },
  };
}

/** @param {State} state @param {number} number @param {Wanted} wanted @returns {Job} */
function newJob({ prefs }, number, { key, shapes, parents, fresh, runs }) {
  const box = unionBounds(shapes) ?? { x: 0, y: 0, width: 1, height: 1 };
  return {
    number,
    key,
    shapes,
    parents,
    fresh,
    box,
    regions: groups(shapes, 0).length,
    regionsDone: 0,
    early: [],
    startedAt: performance.now(),
    position: null,
    usual: estimate(prefs.timings, { ...runs[0], strategy: prefs.strategy }, paintedArea(shapes)),
    runs: runs.map(({ model, seed }) => ({
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
}

/** @param {import("./eta.js").Mark | null} last @param {import("../wire/protocol.js").ProgressLine} line */
function progressed(last, { stage, step, total }) {
  const now = performance.now();
  const fraction = total > 0 ? step / total : -1;
  const mark = marked(last, stage, fraction, now);
  return { stage, fraction, mark, endsAt: endOfStage(mark, fraction, now) };
}

/** @template T @param {Promise<T>} promise @param {AbortSignal} signal @returns {Promise<T>} */
function untilAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new DOMException("Cancelled", "AbortError"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject);
  });
}
