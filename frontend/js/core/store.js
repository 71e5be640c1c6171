/**
 * A state container: one immutable value, and watchers that run when the part they select has changed.
 *
 * Watchers are batched: they run once per microtask, however many updates happened before it, so a
 * watcher never sees a half-made change.
 */

/**
 * @template S
 * @typedef {object} Store
 * @property {() => S} get
 * @property {(change: Partial<S> | ((state: S) => Partial<S>)) => void} update  merges the change, shallowly
 * @property {<T>(select: (state: S) => T, run: (value: T, before: T | undefined) => void, now?: boolean) => () => void} watch
 *   runs on every change of the selected value (Object.is) and, unless `now` is false, once at the start; returns how to stop
 * @property {(selects: readonly ((state: S) => unknown)[], run: () => void) => void} follow
 *   runs at the start, and once per batch in which anything selected has changed
 */

/**
 * @template {object} S
 * @param {S} initial
 * @returns {Store<S>}
 */
export function createStore(initial) {
  let state = initial;
  let scheduled = false;
  /** @type {Set<() => void>} */
  const watchers = new Set();

  const flush = () => {
    scheduled = false;
    for (const check of [...watchers]) check();
  };

  return {
    get: () => state,
    update(change) {
      const part = typeof change === "function" ? change(state) : change;
      state = { ...state, ...part };
      if (!scheduled) {
        scheduled = true;
        queueMicrotask(flush);
      }
    },
    watch(select, run, now = true) {
      let last = select(state);
      const check = () => {
        const value = select(state);
        if (Object.is(value, last)) return;
        const before = last;
        last = value;
        run(value, before);
      };
      watchers.add(check);
      if (now) run(last, undefined);
      return () => void watchers.delete(check);
    },
    follow(selects, run) {
      let last = selects.map((select) => select(state));
      watchers.add(() => {
        const values = selects.map((select) => select(state));
        if (values.every((value, i) => Object.is(value, last[i]))) return;
        last = values;
        run();
      });
      run();
    },
  };
}
