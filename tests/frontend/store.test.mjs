import assert from "node:assert/strict";
import { test } from "node:test";
import { patchesOf } from "../../frontend/js/core/state.js";
import { createStore } from "../../frontend/js/core/store.js";
import { upgraded } from "../../frontend/js/session/persist.js";

test("a watcher runs at once, then only when what it selects has changed, once per batch", async () => {
  const store = createStore({ a: 1, b: 1 });
  /** @type {number[]} */
  const seen = [];
  const stop = store.watch(
    (state) => state.a,
    (a) => seen.push(a),
  );
  store.update({ a: 2 });
  store.update((state) => ({ a: state.a + 1 }));
  await null;
  store.update({ b: 2 });
  await null;
  stop();
  store.update({ a: 9 });
  await null;
  assert.deepEqual(seen, [1, 3]);
});

test("an update made by a watcher reaches the watchers in the same turn", async () => {
  const store = createStore({ source: 0, derived: 0 });
  store.watch(
    (state) => state.source,
    (source) => store.update({ derived: source * 2 }),
  );
  /** @type {number[]} */
  const seen = [];
  store.watch(
    (state) => state.derived,
    (derived) => seen.push(derived),
  );
  store.update({ source: 4 });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(seen, [0, 8]);
});

test("a session of version 0.1, whose results had one patch, opens with its patch under its old name", () => {
  const patch = { url: "/api/v1/edits/ab/patch.png", x: 1, y: 2, w: 3, h: 4 };
  const old = /** @type {any} */ ({ key: "s", results: { fill: [{ edit: "ab", patch }] } });
  const { results } = upgraded(old);
  assert.deepEqual(results.fill, [{ edit: "ab", patches: [patch] }]);
  assert.deepEqual(patchesOf(results.fill[0]), [
    { name: "ab", url: patch.url, box: { x: 1, y: 2, width: 3, height: 4 } },
  ]);
  assert.deepEqual(upgraded(upgraded(old)), upgraded(old));
});

test("every patch of an result has a name of its own", () => {
  const at = (/** @type {number} */ x) => ({ url: `${x}.png`, x, y: 0, w: 1, h: 1 });
  const result = /** @type {any} */ ({ edit: "ab", patches: [at(0), at(5), at(9)] });
  assert.deepEqual(
    patchesOf(result).map(({ name, url }) => [name, url]),
    [
      ["ab", "0.png"],
      ["ab-1", "5.png"],
      ["ab-2", "9.png"],
    ],
  );
});
