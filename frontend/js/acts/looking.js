/** The view of the photo and the size of the brush on it. */

import { canvasOf, marginsOf } from "../core/canvas.js";
import { brushDiameter, documentOf, resizedBrush } from "../core/state.js";
import { carried, fit, pan, scaleTo, zoomAt } from "../core/view.js";
import { t } from "../ui/i18n.js";

/** Small photos are shown up to this much larger. */
const FIT_ENLARGES = 2;
/** Around the photo, in screen pixels. */
const AIR = Object.freeze({ top: 4, right: 12, bottom: 4, left: 12 });
/** While the canvas is extended: there are handles to drag outwards; of a small window no more than a share. */
const MUCH_AIR_PX = 72;
const MUCH_AIR_SHARE = 1 / 6;

/** @typedef {ReturnType<typeof createLooking>} Looking */

/** @param {import("../core/store.js").Store<import("../core/state.js").State>} store @param {ReturnType<typeof import("../ui/viewer.js").createViewer>} viewer */
export function createLooking(store, viewer) {
  /** The view in which all of the photo is seen. */
  const fitted = () => {
    const state = store.get();
    if (!state.image) return null;
    const { width, height } = canvasOf(state);
    const { left, top, right, bottom } = state.margins;
    const all = { width: width + left + right, height: height + top + bottom };
    const much = Math.min(MUCH_AIR_PX, state.viewport.height * MUCH_AIR_SHARE);
    const air = state.tool === "extend" ? { top: much, right: much, bottom: much, left: much } : AIR;
    const view = fit(all, state.viewport, air, FIT_ENLARGES / viewer.stage.dpr());
    return pan(view, left * view.scale, top * view.scale);
  };

  /** The room has changed: a photo that filled it goes on to, unless a stroke is being made on it. */
  const refit = () => {
    const to = fitted();
    if (store.get().fitted && !store.get().painting && to) viewer.glide(to);
  };
  store.watch((state) => state.viewport, refit, false);
  store.watch((state) => state.tool === "extend", refit, false);
  let shownKey = "";
  // Pixels stay where they are on the screen when the canvas grows to the left or upwards.
  store.watch(
    (state) => marginsOf(documentOf(state).edits),
    (now, before = now) => {
      if (store.get().image?.key === shownKey) viewer.shift(before.left - now.left, before.top - now.top);
      refit();
    },
    false,
  );
  store.watch(
    (state) => state.image?.key ?? "",
    (key) => {
      shownKey = key;
    },
  );

  /** @param {(view: import("../core/view.js").View, middle: import("../core/view.js").ScreenPoint) => import("../core/view.js").View} change */
  const zoom = (change) => {
    const { view, viewport } = store.get();
    viewer.input.setView(change(view, { x: viewport.width / 2, y: viewport.height / 2 }));
  };

  const showSize = () => {
    const diameter = brushDiameter(store.get());
    const label = t("{n} px", { n: Math.max(1, Math.round(diameter)) });
    viewer.overlay.flashSize(label, diameter * store.get().view.scale);
  };

  /** All of the photo is in sight, now and when the room changes. */
  const fitPhoto = () => {
    const view = fitted();
    if (view) store.update({ view, fitted: true });
  };
  /** What was seen of a photo when the next of the list was asked for. @type {import("../core/state.js").State | null} */
  let left = null;

  return {
    refit,
    showSize,
    fit: fitPhoto,
    /** The next photo is shown where and as large as this one is, unless this one is seen whole. */
    carry() {
      left = store.get().fitted ? null : store.get();
    },
    /** A photo has come. */
    arrive() {
      fitPhoto();
      const state = store.get();
      if (left?.image && state.image)
        store.update({ view: carried(left.view, canvasOf(left), canvasOf(state), state.viewport), fitted: false });
      left = null;
    },
    actualPixels: () => zoom((view, middle) => scaleTo(view, middle, 1 / viewer.stage.dpr())),
    /** @param {number} factor */
    zoomBy: (factor) => zoom((view, middle) => zoomAt(view, middle, factor)),
    /** @param {number} steps */
    sizeBrush(steps) {
      store.update(({ prefs }) => ({ prefs: resizedBrush(prefs, steps) }));
      showSize();
    },
  };
}
