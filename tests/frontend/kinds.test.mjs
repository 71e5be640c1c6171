import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_PREFS, initialState } from "../../frontend/js/core/state.js";
import { modelOf } from "../../frontend/js/ui/models/kinds.js";
import { config } from "./boot.mjs";

/**
 * @typedef {import("../../frontend/js/core/state.js").ModelInfo} ModelInfo
 * @param {string} name @param {"quick" | "natural"} kind @param {Partial<ModelInfo>} more @returns {ModelInfo}
 */
const model = (name, kind, more) => ({
  name,
  kind,
  title: name,
  aliases: [],
  task: "fill",
  tagline: "",
  description: "",
  licence: { name: "MIT", url: "", commercial_use: true },
  stochastic: false,
  source_control: false,
  synthesises: false,
  gesture: null,
  strategies: [],
  strategy: "crop",
  grow_px: 0,
  parameters: [],
  download_bytes: 0,
  download_is_estimate: false,
  memory_bytes: 0,
  state: "ready",
  progress: null,
  reason: "",
  problem: null,
  ...more,
});

/** @param {ModelInfo[]} models @param {string} wanted */
const state = (models, wanted) => initialState({ config, models: { current: wanted, wanted, models } }, DEFAULT_PREFS);

const copying = model("copying", "natural", {});
const trained = model("trained", "natural", { download_bytes: 5 });
const missing = { ...trained, state: /** @type {const} */ ("missing") };
const other = model("other", "quick", {});

test("the chosen model stands for its kind", () => {
  assert.equal(modelOf(state([copying, trained], "copying"), "natural"), copying);
});

test("else one that was trained, when it is ready", () => {
  assert.equal(modelOf(state([copying, trained, other], "other"), "natural"), trained);
  assert.equal(modelOf(state([copying, missing, other], "other"), "natural"), copying);
});

test("a kind of which nothing is ready shows what could be fetched, and one without models is not shown", () => {
  assert.equal(modelOf(state([missing, other], "other"), "natural"), missing);
  assert.equal(modelOf(state([other], "other"), "natural"), undefined);
  assert.equal(modelOf(state([{ ...trained, state: "unavailable" }, other], "other"), "natural"), undefined);
});
