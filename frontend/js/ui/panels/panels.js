/**
 * What is not needed to paint: loaded when it is opened first, or when the page has nothing else to do, so that it is
 * there when the server has gone away.
 */

import { documentOf, selects, takesWords, usable, wantedModel } from "../../core/state.js";
import { find } from "../dom.js";

const IDLE_MS = 300;

/**
 * @typedef {import("../../core/state.js").State} State
 * @typedef {Omit<import("./choosing.js").Ports, "jobs"> & {
 *   bitmaps: import("../../canvas/bitmaps.js").Bitmaps,
 *   api: import("../../net/api.js").Api,
 *   imageId: () => Promise<string>,
 *   openPhoto: (at: number, keepZoom?: boolean) => void,
 *   sessions: () => Promise<import("../../session/persist.js").Session[]>,
 *   fileOf: (key: string) => Promise<Blob | undefined>,
 *   run: (id: string) => void,
 *   uploads: import("../../net/uploads.js").Uploads,
 *   loadJobs: () => Promise<import("../../jobs/jobs.js").Jobs>,
 *   refit: () => void,
 *   keepPatch: (name: string, png: Blob) => Promise<void>,
 *   openFiles: (files: File[]) => void,
 * }} Ports  openPhoto: another one of the list; fileOf: of one of them; refit: what is to be seen has another size
 */

/** @param {Ports} ports */
export function createPanels(ports) {
  const { store, bitmaps, api, messages } = ports;
  const failed = (/** @type {unknown} */ error) => messages.complain(error, null);
  const pointing = once(async () => (await import("../tools/finding.js")).createPointing({ ...ports, download }));
  const models = once(async () => (await import("../../net/models.js")).createModels(store, api, failed));
  const refresh = () =>
    void models()
      .then((list) => list.refresh())
      .catch(failed);
  const download = (/** @type {string} */ name) =>
    void models()
      .then((list) => list.download(name))
      .catch((error) => messages.complain(error, () => download(name)));

  const choosing = once(async () => {
    const [{ createChoosing }, jobs] = await Promise.all([import("./choosing.js"), ports.loadJobs()]);
    return createChoosing({ ...ports, jobs });
  });

  const saving = once(async () =>
    (await import("../saving/saving.js")).createSaving(store, api, messages, ports.imageId),
  );

  const gallery = once(async () => (await import("../gallery/gallery.js")).createGallery(ports));

  const panels = {
    models,
    jobs: ports.loadJobs,
    progress: once(async () => (await import("../progress.js")).createProgress(store, messages)),
    options: once(async () => (await import("../models/panel.js")).createModelsPanel(store, { download, refresh })),
    gallery,
    settings: once(async () => (await import("./settings.js")).createSettings(store)),
    choosing,
    results: once(async () => (await import("./results.js")).createResults(store, bitmaps, await choosing())),
    pointing,
    extend: once(async () => (await import("../tools/extend.js")).createExtend(ports)),
    cutout: once(async () => (await import("../tools/cutout.js")).createCutOut(ports)),
    swipe: once(async () => (await import("../tools/swipe.js")).createSwipe(ports)),
    compare: once(async () => (await import("./compare.js")).createCompare(store)),
    wanted: once(async () => (await import("./wanted.js")).watchWanted(store, messages, download)),
    words: once(async () => (await import("./words.js")).createWords(ports)),
    help: once(async () => (await import("./help.js")).createHelp()),
    notes: once(() => import("./notes.js")),
    again: once(() => Promise.all([import("../../session/reopening.js"), import("../../session/keeping.js")])),
    glow: once(() => import("../../canvas/glow.js")),
    groups: once(async () => (await import("../roving.js")).createGroups()),
    saving,
    savingPanel: once(async () => {
      const [{ createSavingPanel }, { createMaskFile }, saves] = await Promise.all([
        import("../saving/panel.js"),
        import("../saving/mask-file.js"),
        saving(),
      ]);
      createSavingPanel(store, saves, createMaskFile(ports), bitmaps);
    }),
  };
  const load = (/** @type {() => Promise<unknown>} */ panel) => void panel().catch(failed);

  const opened = { options: panels.options, gallery, menu: panels.settings, save: panels.savingPanel };
  for (const [id, panel] of Object.entries(opened))
    find(id).addEventListener("beforetoggle", () => load(panel), { once: true });
  const whenTrue = (/** @type {(state: State) => boolean} */ needed, /** @type {() => Promise<unknown>} */ panel) =>
    store.watch(needed, (now) => now && load(panel));
  whenTrue((state) => documentOf(state).edits.length > 0, panels.results);
  whenTrue((state) => state.jobs.length > 0 || !state.reachable, panels.progress);
  whenTrue((state) => state.tool === "extend", panels.extend);
  whenTrue((state) => state.tool === "cutout", panels.cutout);
  whenTrue((state) => state.tool === "hand", panels.swipe);
  whenTrue((state) => state.tool === "find" || selects(state.tool), pointing);
  whenTrue((state) => documentOf(state).edits.length > 0, panels.compare);
  const waits = (/** @type {State} */ state) =>
    state.models.some((each) => each === wantedModel(state) && !usable(each));
  whenTrue((state) => waits(state) || state.models.some((each) => each.state === "downloading"), models);
  whenTrue(waits, panels.wanted);
  whenTrue(takesWords, panels.words);

  let loaded = false;
  const loadAll = async () => {
    await Promise.allSettled(Object.values(panels).map((panel) => panel()));
    loaded = true;
  };
  const idle = window.requestIdleCallback ?? setTimeout;
  setTimeout(() => idle(loadAll), IDLE_MS);

  return {
    /** @param {(acts: ReturnType<typeof import("./choosing.js").createChoosing>) => void} act */
    choosing: (act) => void choosing().then(act).catch(failed),
    /** @param {import("../../core/shapes.js").Shape} shape */
    select: (shape) => void pointing().then((loaded) => loaded.select(shape), failed),
    /** @param {(photos: import("../gallery/gallery.js").Gallery) => void} act */
    gallery: (act) => void gallery().then(act).catch(failed),
    /** Nothing is on its way any more, for tests. */
    loaded: () => loaded,
    help: () => void panels.help().then((show) => show(), failed),
    download: () => void saving().then(({ save }) => save(), failed),
    copy: () => void saving().then(({ copy }) => copy(), failed),
  };
}

/** @template T @param {() => Promise<T>} load @returns {() => Promise<T>} loads once, and again after it failed */
export function once(load) {
  /** @type {Promise<T> | null} */
  let loading = null;
  return () => {
    loading ??= load().catch((error) => {
      loading = null;
      throw error;
    });
    return loading;
  };
}
