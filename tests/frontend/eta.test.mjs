import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, endOfStage, estimate, expectedTotal, marked, remember } from "../../frontend/js/jobs/eta.js";

const LAMA = { model: "lama" };

test("the estimate is the median of fills of about the same size", () => {
  let timings = {};
  for (const ms of [100, 90, 5000]) timings = remember(timings, LAMA, 512 * 512, ms);
  assert.equal(estimate(timings, LAMA, 500 * 500), 100);
  assert.equal(estimate(timings, LAMA, 4000 * 4000), null);
  assert.equal(estimate(timings, { model: "opencv" }, 512 * 512), null);
});

test("other settings of a model are other work", () => {
  const refined = { model: "lama", params: { refine: true, refine_scales: 2 } };
  const timings = remember({}, LAMA, 512 * 512, 100);
  assert.equal(estimate(timings, refined, 512 * 512), null);
  assert.equal(estimate(timings, { ...LAMA, strategy: "original" }, 512 * 512), null);
  const both = remember(timings, refined, 512 * 512, 60_000);
  assert.equal(estimate(both, { ...refined, params: { refine_scales: 2, refine: true } }, 512 * 512), 60_000);
  assert.equal(estimate(both, LAMA, 512 * 512), 100);
});

test("only so many kinds of work are remembered, the latest", () => {
  let timings = {};
  for (let steps = 0; steps < 200; steps += 1)
    timings = remember(timings, { model: "ldm", params: { steps } }, 1, steps);
  assert.ok(Object.keys(timings).length <= 80);
  assert.equal(estimate(timings, { model: "ldm", params: { steps: 199 } }, 1), 199);
  assert.equal(estimate(timings, { model: "ldm", params: { steps: 0 } }, 1), null);
});

test("a stage's end follows from its pace once enough of it was seen", () => {
  const mark = marked(null, "denoising", 0, 1000);
  assert.equal(endOfStage(mark, 0, 1000), null);
  assert.equal(endOfStage(mark, 0.04, 5000), null, "too little of the work");
  assert.equal(endOfStage(mark, 0.04, 7000), 151_000, "little of long work");
  assert.equal(endOfStage(mark, 0, 60_000), null, "nothing of the work");
  assert.equal(endOfStage(mark, 0.5, 1100), null, "too little time");
  assert.equal(endOfStage(mark, 0.25, 2000), 5000);
  assert.equal(marked(mark, "denoising", 0.25, 2000), mark);
  assert.deepEqual(marked(mark, "decoding", 0.9, 2000), { stage: "decoding", fraction: 0.9, at: 2000 });
  assert.deepEqual(marked({ ...mark, fraction: 0.5 }, "denoising", 0.1, 2000).at, 2000, "it began again");
});

/** @param {"waiting" | "running" | "done"} status */
const run = (status, fraction = -1, /** @type {number | null} */ endsAt = null) => ({ status, fraction, endsAt });

test("before its first steps a fill is expected to take what such fills took", () => {
  assert.equal(expectedTotal({ startedAt: 0, usual: 2000, runs: [run("waiting")] }, 100), 2000);
  assert.equal(expectedTotal({ startedAt: 0, usual: 2000, runs: [run("running"), run("waiting")] }, 100), 4000);
  assert.equal(expectedTotal({ startedAt: 0, usual: null, runs: [run("running", 0)] }, 100), null);
});

test("its own pace counts where nothing was learned, and more than what was learned once a quarter is done", () => {
  const early = [run("running", 0.1, 10_000)];
  assert.equal(expectedTotal({ startedAt: 1000, usual: null, runs: early }, 2000), 9000);
  assert.equal(expectedTotal({ startedAt: 1000, usual: 3000, runs: early }, 2000), 3000);
  const later = [run("running", 0.3, 10_000)];
  assert.equal(expectedTotal({ startedAt: 1000, usual: 3000, runs: later }, 2000), 9000);
});

test("runs that wait are expected to take as long as those before them", () => {
  const runs = [run("done", 1, 1990), run("running", 0.5, 4000), run("waiting"), run("waiting")];
  assert.equal(expectedTotal({ startedAt: 0, usual: null, runs }, 3000), 8000);
});

test("an expectation that has passed is not shown", () => {
  assert.equal(expectedTotal({ startedAt: 0, usual: 2000, runs: [run("running", 0)] }, 2500), null);
});

test("a time is told as fine as one wants to know it", () => {
  assert.equal(duration(1740), "1.7 s");
  assert.equal(duration(45_400), "45 s");
  assert.equal(duration(99_900), "1 min 40 s");
  assert.equal(duration(200_000), "3 min 20 s");
  assert.equal(duration(1_980_000), "33 min");
});
