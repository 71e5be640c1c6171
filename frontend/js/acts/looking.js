/** The view of the photo and the size of the brush on it. */

import { brushDiameter, resizedBrush } from "../core/state.js";
import { fit, scaleTo, zoomAt } from "../core/view.js";
import { t } from "../ui/i18n.js";

/** Small photos are shown up to this much larger. */
const FIT_ENLARGES = 2;
/** Around the photo, in screen pixels. */
const AIR = Object.freeze({ top: 4, right: 12, bottom: 4, left: 12 });

/** @typedef {ReturnType<typeof createLooking>} Looking */

/** @param {import("../core/store.js").Store<import("../core/state.js").State>} store @param {ReturnType<typeof import("../ui/viewer.js").createViewer>} viewer */
export function createLooking(store, viewer) {
  /** The view in which all of the photo is seen. */
  const fitted = () => {
    const { image, viewport } = store.get();
    return image && fit(image, viewport, AIR, FIT_ENLARGES / viewer.stage.dpr());
  };

  /** The room has changed: a photo that filled it goes on to, unless a stroke is being made on it. */
  const refit = () => {
    const to = fitted();
    if (store.get().fitted && !store.get().painting && to) viewer.glide(to);
  };
  store.watch((state) => state.viewport, refit, false);

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

  return {
    showSize,
    /** All of the photo is in sight, now and when the room changes. */
    fit() {
      const view = fitted();
      if (view) store.update({ view, fitted: true });
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
