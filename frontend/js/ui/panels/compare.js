/** Before and after: the line that can be dragged across the photo. */

import { find } from "../dom.js";
import { t } from "../i18n.js";

const STEP = 0.02;

/** @param {import("../../core/store.js").Store<import("../../core/state.js").State>} store */
export function createCompare(store) {
  const slider = find("split");
  const stage = find("stage");
  /** @param {number} at */
  const move = (at) => store.update(({ compare }) => ({ compare: { ...compare, at: Math.min(1, Math.max(0, at)) } }));

  slider.addEventListener("pointerdown", (event) => {
    slider.setPointerCapture(event.pointerId);
    event.preventDefault();
    slider.focus();
  });
  slider.addEventListener("pointermove", (event) => {
    if (slider.hasPointerCapture(event.pointerId))
      move((event.clientX - stage.getBoundingClientRect().left) / stage.clientWidth);
  });
  slider.addEventListener("keydown", (event) => {
    const { at } = store.get().compare;
    const to = {
      ArrowLeft: at - STEP,
      ArrowDown: at - STEP,
      ArrowRight: at + STEP,
      ArrowUp: at + STEP,
      Home: 0,
      End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  });
  store.watch(
    (state) => state.compare,
    ({ mode, at }) => {
      const on = mode === "slider";
      slider.hidden = !on;
      slider.style.insetInlineStart = `${at * 100}%`;
      slider.setAttribute("aria-valuenow", String(Math.round(at * 100)));
      slider.setAttribute("aria-valuetext", t("{n} % before", { n: Math.round(at * 100) }));
      find("original").hidden = mode !== "hold";
    },
  );
}
