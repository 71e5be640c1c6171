/** A finger that moves a whole photo to the side turns to the next one of the list. */

import { find } from "../dom.js";

const LEAST_PX = 60;

/** @param {Pick<import("../panels/panels.js").Ports, "store" | "run">} ports */
export function createSwipe({ store, run }) {
  const stage = find("stage");
  /** Where it began, while it is one finger on a photo that is seen whole. @type {PointerEvent | null} */
  let began = null;
  let fingers = 0;
  const listen = { capture: true }; // before the photo is moved
  stage.addEventListener(
    "pointerdown",
    (event) => {
      fingers += 1;
      const { tool, fitted } = store.get();
      const turns = event.pointerType === "touch" && tool === "hand" && fitted && fingers === 1;
      began = turns ? event : null;
    },
    listen,
  );
  stage.addEventListener("pointercancel", () => (fingers -= 1), listen);
  stage.addEventListener("pointerup", (event) => {
    fingers -= 1;
    if (!began) return;
    const [dx, dy] = [event.clientX - began.clientX, event.clientY - began.clientY];
    began = null;
    if (Math.abs(dx) < Math.max(LEAST_PX, 2 * Math.abs(dy))) return;
    run("zoom-fit");
    run(dx < 0 ? "photo-next" : "photo-previous");
  });
}
