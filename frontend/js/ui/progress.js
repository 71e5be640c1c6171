/** How the work is going: the words beside the dock, and the banner for a lost server. */

import { documentOf } from "../core/state.js";
import { editInHand } from "../edits/choices.js";
import { duration, expectedTotal } from "../jobs/eta.js";
import { groups } from "../jobs/groups.js";
import { find, setText } from "./dom.js";
import { number, t, w } from "./i18n.js";

const TICK_MS = 100;

/** @typedef {import("../core/state.js").State} State */

/**
 * @param {import("../core/store.js").Store<State>} store
 * @param {import("./messages.js").Messages} messages
 */
export function createProgress(store, messages) {
  const one = find("working").querySelector('[data-command="cancel-last"]');
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let ticking;
  const show = () => {
    const state = store.get();
    const { done, all } = regions(state);
    setText(find("working-text"), describeJobs(state, Math.min(Math.floor(done) + 1, all), all));
    find("dial").style.setProperty("--left", String(100 - (100 * done) / Math.max(1, all)));
    one?.toggleAttribute("hidden", state.jobs.length + state.queued.length < 2);
  };
  store.watch(
    (state) => state.jobs.length > 0,
    (busy) => {
      find("working").hidden = !busy;
      clearInterval(ticking);
      if (!busy) return;
      show();
      ticking = setInterval(show, TICK_MS);
    },
  );
  store.follow([(state) => state.jobs, (state) => state.queued], show);
  store.watch(
    (state) => state.reachable,
    (reachable) => {
      find("unreachable").hidden = reachable;
      if (!reachable) messages.say(t("The server does not answer. Your work is kept; trying again…"));
    },
  );
  store.watch(documentOf, () => messages.withdraw());
  store.follow([documentOf, (state) => state.results, (state) => state.selected], () => showResult(store.get()));
}

/** @param {State} state @param {number} at which region is being filled @param {number} all */
function describeJobs({ jobs, queued, uploaded, reachable }, at, all) {
  const [job] = jobs;
  const several = jobs.length + queued.length > 1;
  if (!job) return "";
  if (!reachable) return t("Waiting for the server…");
  if (uploaded !== null) return t("Sending the photo… {n} %", { n: Math.round(uploaded * 100) });
  if (job.position) return t("Waiting, {n} before it", { n: job.position });
  const now = performance.now();
  const running = job.runs.findIndex((run) => run.status === "running");
  const stage = running >= 0 ? job.runs[running].stage : "";
  const results = job.runs.length > 1 && running >= 0;
  const which = results ? ` ${running + 1}/${job.runs.length}` : all > 1 ? ` ${t("{n} of {all}", { n: at, all })}` : "";
  const words = STAGES[stage] ?? (stage ? `${stage[0].toUpperCase()}${stage.slice(1)}…` : STAGES.filling);
  if (several) return `${t(words)}${which}`; // each has a time of its own
  const total = expectedTotal(job, now);
  const spent = duration(now - job.startedAt);
  const time = total === null ? spent : t("{spent} of about {total}", { spent, total: duration(total) });
  return `${t(words)}${which} ${time}`;
}

/** @type {Readonly<Record<string, string>>} */
const STAGES = { fill: w("Removing…"), filling: w("Removing…"), loading: w("Loading the model…") };

/** Regions that are filled, and how many there are, since there was nothing to do. @param {State} state */
function regions({ jobs, queued, regionsDone }) {
  const done = jobs.reduce((sum, job) => sum + job.regions * shareDone(job), regionsDone);
  return { done, all: jobs.reduce((sum, job) => sum + job.regions, regionsDone) + groups(queued, 0).length };
}

/** @param {import("../core/state.js").Job} job @returns {number} 0 to 1 */
function shareDone({ runs }) {
  const shares = runs.map(({ status, fraction }) =>
    status === "done" || status === "failed" ? 1 : Math.max(0, fraction),
  );
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
}

/** @param {State} state */
function showResult(state) {
  const edit = editInHand(state);
  const results = edit ? (state.results[edit.key] ?? []) : [];
  const at = results.findIndex((result) => result.edit === edit?.chosen);
  find("steps-talk").hidden = at < 0;
  if (at < 0) return;
  const several = results.length > 1;
  for (const id of ["result-previous", "result-next"]) {
    const button = find("steps-talk").querySelector(`[data-command="${id}"]`);
    button?.toggleAttribute("hidden", !several);
  }
  const seconds = number(results[at].ms / 1000, 1);
  setText(
    find("result-text"),
    several ? t("Result {n} of {all}", { n: at + 1, all: results.length }) : t("Removed in {n} s", { n: seconds }),
  );
}
