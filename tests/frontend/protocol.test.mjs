import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_PREFS, fillers, initialState, workingModel } from "../../frontend/js/core/state.js";
import { downloadPercent } from "../../frontend/js/ui/models/licence.js";
import { explain } from "../../frontend/js/wire/explain.js";
import { ApiError, formatBytes } from "../../frontend/js/wire/protocol.js";
import { editRequest, readLine } from "../../frontend/js/wire/requests.js";
import { config } from "./boot.mjs";

const wanted = {
  image: "i",
  parents: [],
  shapes: [],
  growPx: null,
  featherPx: 0,
  strategy: /** @type {const} */ ("default"),
  finish: true,
  quickLook: true,
  save: true,
  runs: [{ model: "opencv" }],
};

test("what is left to the model's defaults is not sent", () => {
  assert.deepEqual(editRequest(wanted), { image: "i", parents: [], mask: { shapes: [] }, runs: [{ model: "opencv" }] });
  assert.deepEqual(
    editRequest({
      ...wanted,
      growPx: 0,
      featherPx: 3,
      strategy: /** @type {const} */ ("crop"),
      finish: false,
      quickLook: false,
      save: false,
    }),
    {
      image: "i",
      parents: [],
      mask: { shapes: [], grow_px: 0, feather_px: 3 },
      strategy: "crop",
      finish: false,
      quick_look: false,
      save: false,
      runs: [{ model: "opencv" }],
    },
  );
});

test("lines of a kind this page does not know are passed over", () => {
  assert.equal(readLine('{"type":"queued","job":"j","position":2}')?.type, "queued");
  assert.equal(readLine('{"type":"weather","job":"j"}'), null);
});

test("a problem is explained with what to do about it", () => {
  const told = explain(
    new ApiError({ code: "engine.out_of_memory", title: "Out of memory", detail: "It took 9 GB.", retryable: false }),
  );
  assert.deepEqual([told.title, told.cause, told.retryable], ["Out of memory", "It took 9 GB.", false]);
  assert.match(told.hint, /lighter model/);
  assert.equal(explain(new TypeError("x is not a function")).code, "page.error");
});

test("sizes are shown in the unit people expect", () => {
  assert.deepEqual([0, 999, 1024, 205_669_892, 1.1e9].map(formatBytes), ["", "999 B", "1.0 KiB", "196 MiB", "1.0 GiB"]);
});

/** @param {string} name @param {Partial<import("../../frontend/js/wire/protocol.js").ModelInfo>} more @returns {import("../../frontend/js/wire/protocol.js").ModelInfo} */
const model = (name, more) => ({
  name,
  title: name,
  task: "fill",
  kind: "",
  tagline: "",
  aliases: [],
  source_control: false,
  description: "",
  licence: { name: "", url: "", commercial_use: true },
  stochastic: false,
  synthesises: false,
  gesture: null,
  strategies: [],
  strategy: "crop",
  grow_px: 0,
  parameters: [],
  download_bytes: 0,
  download_is_estimate: false,
  memory_bytes: 0,
  reason: "",
  state: "ready",
  progress: null,
  problem: null,
  ...more,
});

test("the page works with models that fill", () => {
  const models = [model("grabcut", { task: "select" }), model("opencv", {}), model("lanczos", { task: "enlarge" })];
  assert.deepEqual(
    fillers({ current: "opencv", wanted: "opencv", models }).map(({ name }) => name),
    ["opencv"],
  );
});

test("while the wanted model downloads, the best one that is ready works", () => {
  const lama = model("lama", { state: "downloading", progress: { done_bytes: 40, total_bytes: 100 } });
  const state = initialState(
    {
      config,
      models: { current: "patchmatch", wanted: "lama", models: [lama, model("opencv", {}), model("patchmatch", {})] },
    },
    DEFAULT_PREFS,
  );
  assert.equal(workingModel(state)?.name, "patchmatch");
  assert.equal(downloadPercent(lama), 40);
  const later = { ...state, models: state.models.map((each) => ({ ...each, state: /** @type {const} */ ("ready") })) };
  assert.equal(workingModel(later)?.name, "lama");
});
