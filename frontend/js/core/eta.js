/**
 * How long a fill is likely to take: the median of the last few with the same model on an area of about the same size.
 *
 * @typedef {Readonly<Record<string, readonly number[]>>} Timings  milliseconds by key
 */

const KEPT = 7;

/** @param {string} model @param {number} pixels area of the painted box */
const bucket = (model, pixels) => `${model}/${Math.round(Math.log2(Math.max(1, pixels / 65536)) / 2)}`;

/** @param {Timings} timings @param {string} model @param {number} pixels @param {number} ms @returns {Timings} */
export function remember(timings, model, pixels, ms) {
  const key = bucket(model, pixels);
  return { ...timings, [key]: [...(timings[key] ?? []), ms].slice(-KEPT) };
}

/** @param {Timings} timings @param {string} model @param {number} pixels @returns {number | null} milliseconds; null: no idea yet */
export function estimate(timings, model, pixels) {
  const known = timings[bucket(model, pixels)];
  if (!known?.length) return null;
  return [...known].sort((a, b) => a - b)[Math.floor(known.length / 2)];
}
