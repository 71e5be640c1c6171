/**
 * How long a fill is likely to take. Before its first steps: the median of the last few fills of the same kind, that is
 * with the same model and settings on an area of about the same size. After them: the pace that it keeps itself.
 *
 * @typedef {Readonly<Record<string, readonly number[]>>} Timings  milliseconds by key; the key used last comes last
 * @typedef {{model: string, params?: Readonly<Record<string, string | number | boolean>>, strategy?: string}} Work
 * @typedef {{stage: string, at: number, fraction: number}} Mark  where a stage stood when it was first heard of
 */

import { number } from "../core/words.js";

const KEPT = 7;
const KINDS = 80;

/** So much of a stage has to be seen before its pace means anything, or of a slow one for so long ... */
const ENOUGH = 0.05;
const ENOUGH_MS = 400;
const LONG_MS = 5000;
/** ... and so much before it is believed rather than what was learned from earlier fills. */
const BELIEVED = 0.25;

/** @param {Work} work @param {number} pixels area of the painted box */
function kind({ model, params = {}, strategy = "default" }, pixels) {
  const settings = Object.entries(params)
    .filter(([, value]) => typeof value !== "string") // words and pictures take no time
    .map(([name, value]) => `${name}=${value}`)
    .sort();
  const size = Math.round(Math.log2(Math.max(1, pixels / 65536)) / 2);
  return [model, ...settings, strategy, size].join("/");
}

/** @param {Timings} timings @param {Work} work @param {number} pixels @param {number} ms @returns {Timings} */
export function remember(timings, work, pixels, ms) {
  const key = kind(work, pixels);
  const { [key]: known = [], ...others } = timings;
  const recent = Object.entries(others).slice(1 - KINDS);
  return { ...Object.fromEntries(recent), [key]: [...known, ms].slice(-KEPT) };
}

/** @param {Timings} timings @param {Work} work @param {number} pixels @returns {number | null} milliseconds; null: no idea yet */
export function estimate(timings, work, pixels) {
  const known = timings[kind(work, pixels)];
  if (!known?.length) return null;
  return [...known].sort((a, b) => a - b)[Math.floor(known.length / 2)];
}

/**
 * The mark to measure a stage's pace from: the one there was, or a new one when the stage is new or begins again.
 * @param {Mark | null} mark @param {string} stage @param {number} fraction @param {number} now @returns {Mark}
 */
export const marked = (mark, stage, fraction, now) =>
  mark && mark.stage === stage && mark.fraction <= fraction ? mark : { stage, fraction, at: now };

/**
 * When a stage will be over if it goes on like this.
 * @param {Mark} mark @param {number} fraction now @param {number} now @returns {number | null} on the clock of `now`
 */
export function endOfStage(mark, fraction, now) {
  const [seen, ms] = [fraction - mark.fraction, now - mark.at];
  const enough = seen >= ENOUGH ? ms >= ENOUGH_MS : seen > 0 && ms >= LONG_MS;
  return enough ? now + (ms * (1 - fraction)) / seen : null;
}

/**
 * @typedef {object} Pace                what is known about a fill of several runs, one after another
 * @property {number} startedAt          of the first run
 * @property {number | null} usual       milliseconds that a run of this kind takes
 * @property {readonly {status: "waiting" | "running" | "done" | "failed", fraction: number, endsAt: number | null}[]} runs
 */

/**
 * How long the whole fill will have taken, in milliseconds.
 * @param {Pace} pace @param {number} now @returns {number | null} null: nothing true can be said
 */
export function expectedTotal({ startedAt, usual, runs }, now) {
  const at = runs.findIndex(({ status }) => status === "running");
  const waiting = runs.filter(({ status }) => status === "waiting").length;
  const over = runs.length - waiting - (at < 0 ? 0 : 1);
  const own = at < 0 || runs[at].endsAt === null ? null : runs[at].endsAt - startedAt;
  const believed = own !== null && (usual === null || runs[at].fraction >= BELIEVED);
  const perRun = believed ? own / (over + 1) : usual;
  if (perRun === null) return null;
  const total = (believed ? own : perRun * (over + 1)) + perRun * (at < 0 ? waiting - 1 : waiting);
  return total > now - startedAt ? total : null;
}

/** A time in words, as fine as one wants to know it. @param {number} ms */
export function duration(ms) {
  const seconds = Math.round(ms / 1000);
  if (ms < 20_000) return `${number(ms / 1000, 1)} s`;
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.round(seconds / 60)} min`;
}
