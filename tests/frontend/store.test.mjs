import assert from "node:assert/strict";
import { test } from "node:test";
import { createStore } from "../../frontend/js/core/store.js";

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
