/**
 * The photos: those that were opened or dropped, and those of the folder that the server was started with.
 *
 * @typedef {import("../../core/state.js").State} State
 * @typedef {import("../../session/here.js").Item} Item
 * @typedef {ReturnType<typeof createGallery>} Gallery
 */

import { shownEdits } from "../../core/document.js";
import { current } from "../../core/history.js";
import { API } from "../../net/api.js";
import { find, findInput, setText } from "../dom.js";
import { number, t } from "../i18n.js";
import { createGrid } from "./grid.js";
import { folderItems, inOrder } from "./items.js";

/** @param {import("../panels/panels.js").Ports} ports */
export function createGallery({ store, api, bitmaps, messages, openPhoto, sessions, fileOf }) {
  const panel = find("gallery");
  const search = findInput("photo-search");
  const order = /** @type {HTMLSelectElement} */ (find("photo-sort"));
  /** @type {readonly Item[]} as they are shown */
  let shown = [];
  /** @type {ReadonlyMap<string, string>} by key: URL of what was made of it, "" where there is no picture of that */
  let done = new Map();

  /** @param {Item} item */
  const open = (item) => {
    panel.hidePopover();
    openPhoto(store.get().gallery.items.findIndex(({ key }) => key === item.key));
  };

  /** @param {Item} item @returns {Promise<string>} URL of a small picture; "" when there is none */
  const pictureOf = async (item) => {
    if (item.version) return thumbnailUrl(item.name, item.version);
    const file = await fileOf(item.key);
    return file ? bitmaps.thumbnail(`photo ${item.key}`, file) : "";
  };

  /** The picture could not be shown. Is it the file, or has the server too much to do? @param {Item} item */
  const failed = async (item) => {
    const broken =
      !item.version ||
      (await api.call(thumbnailUrl(item.name, item.version)).then(
        () => false,
        (error) => String(error.code).startsWith("image."),
      ));
    if (broken) mark(item.key);
    return !broken;
  };

  /** @param {string} key of a photo that cannot be opened */
  const mark = (key) =>
    store.update(({ gallery }) => ({
      gallery: {
        ...gallery,
        items: gallery.items.map((item) => (item.key === key ? { ...item, broken: true } : item)),
      },
    }));

  const grid = createGrid(find("photos-room"), find("photos"), {
    open,
    pictureOf,
    failed,
    resultOf: (item) => done.get(item.key) ?? item.result,
  });

  const show = () => {
    const { items } = store.get().gallery;
    const isDone = (/** @type {Item} */ item) => done.has(item.key) || item.result !== undefined;
    shown = inOrder(items, order.value, search.value, isDone);
    grid.show(shown, store.get().image?.key ?? "");
    const finished = items.filter(isDone).length;
    const all = items.length === 1 ? t("1 photo") : t("{n} photos", { n: number(items.length) });
    setText(find("photo-count"), finished > 0 ? `${all} · ${t("{n} done", { n: finished })}` : all);
    find("photos-none").hidden = shown.length > 0 || items.length === 0;
  };

  /** Which photos something was done to, in this browser. */
  const learn = async () => {
    const known = new Map();
    for (const { key, image, timeline } of await sessions()) {
      const edits = shownEdits(current(timeline));
      const asked = `${API}/images/${image.id}/preview?edits=${edits.join(",")}&max=512`;
      if (edits.length > 0) known.set(key, image.id ? asked : "");
    }
    done = known;
    show();
  };

  const list = async () => {
    const { input_dir: folder } = store.get().config;
    if (!folder) return;
    find("folder").hidden = false;
    setText(find("folder-name"), t("Photos in {folder}", { folder }));
    const { photos } = await api.json(`${API}/photos`);
    store.update(({ gallery: { items }, image }) => {
      const own = folderItems(photos, items);
      const keys = new Set(own.map(({ key }) => key));
      const all = [...items.filter((item) => !item.version && !keys.has(item.key)), ...own];
      return { gallery: { items: all, at: all.findIndex(({ key }) => key === image?.key) } };
    });
  };
  const refresh = () => void Promise.all([list(), learn()]).catch((error) => messages.complain(error, refresh));

  search.addEventListener("input", show);
  order.addEventListener("change", show);
  panel.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState !== "open") return;
    refresh();
    grid.enter(store.get().image?.key ?? "");
  });
  store.follow([(state) => state.gallery, (state) => state.image], show);
  refresh();

  return {
    /** The photo `by` further on, as they are shown; those that cannot be opened are passed over. @param {number} by */
    step(by) {
      const { items, at } = store.get().gallery;
      const listed = shown.some(({ key }) => key === items[at]?.key) ? shown : items;
      let to = listed.findIndex(({ key }) => key === items[at]?.key) + by;
      while (listed[to]?.broken) to += by;
      const next = listed[to];
      if (next)
        openPhoto(
          items.findIndex(({ key }) => key === next.key),
          true,
        );
      else messages.tell(by > 0 ? t("This is the last photo.") : t("This is the first photo."));
    },
  };
}

/** @param {string} name @param {string} version */
const thumbnailUrl = (name, version) =>
  `${API}/photos/thumbnail?name=${encodeURIComponent(name)}&version=${encodeURIComponent(version)}`;
