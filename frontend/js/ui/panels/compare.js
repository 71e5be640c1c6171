/** Before and after: a tab at the photo's edge, which draws a line across the photo. */

import { documentOf } from "../../core/state.js";
import { find } from "../dom.js";
import { t } from "../i18n.js";

/**
 * @typedef {import("../../core/state.js").State} State
 */

const STEP = 0.02;
/** So near to the photo's edge, in screen pixels, the line lets go and is the tab again. */
const REST_PX = 10;

/** @param {import("../../core/store.js").Store<State>} store */
export function createCompare(store) {
  const slider = find("split");
  const stage = find("stage");

  /** The photo's left edge, as a share of the stage; the stage's where that is out of sight. */
  const edge = () => {
    const { view, viewport } = store.get();
    return Math.min(0.9, Math.max(0, view.x / viewport.width));
  };
  /** @param {number} at a share of the stage's width */
  const move = (at) => store.update({ compare: { mode: "slider", at: Math.min(1, Math.max(edge(), at)) } });
  const restAtEdge = () => {
    const { compare, viewport } = store.get();
    if (compare.mode !== "slider" || (compare.at - edge()) * viewport.width > REST_PX) return;
    store.update({ compare: { mode: "off", at: 0.5 } });
  };

  slider.addEventListener("pointerdown", (event) => {
    slider.setPointerCapture(event.pointerId);
    event.preventDefault();
    slider.focus();
  });
  slider.addEventListener("pointermove", (event) => {
    if (slider.hasPointerCapture(event.pointerId))
      move((event.clientX - stage.getBoundingClientRect().left) / stage.clientWidth);
  });
  for (const end of ["pointerup", "pointercancel"]) slider.addEventListener(end, restAtEdge);
  slider.addEventListener("keydown", (event) => {
    const { compare } = store.get();
    const at = compare.mode === "slider" ? compare.at : edge();
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
    restAtEdge();
  });

  store.follow(
    [(state) => state.compare, (state) => state.view, (state) => state.viewport, (state) => state.tool, documentOf],
    () => {
      const state = store.get();
      const { mode, at } = state.compare;
      const on = mode === "slider";
      const shown = on ? at : edge();
      const inTheWay = mode === "hold" || state.tool === "extend"; // whose edge has a handle in the same place
      slider.hidden = !on && (inTheWay || documentOf(state).edits.length === 0);
      slider.classList.toggle("resting", !on);
      slider.style.insetInlineStart = `${shown * 100}%`;
      const percent = on ? Math.round(at * 100) : 0;
      slider.setAttribute("aria-valuenow", String(percent));
      slider.setAttribute("aria-valuetext", t("{n} % before", { n: percent }));
      find("original").hidden = mode !== "hold";
    },
  );
}
