/**
 * The tool of corners.
 *
 * @typedef {import("../core/view.js").ImagePoint} ImagePoint
 * @typedef {import("./tools.js").Setting} Setting
 * @typedef {import("./tools.js").Sketch} Sketch
 */

import { poly } from "../core/shapes.js";

/**
 * An outline of straight edges, closed by a press near its start.
 * @param {ImagePoint} start @param {Setting} setting @returns {Sketch}
 */
export function polygon(start, setting) {
  const corners = [start];
  let floating = start;
  /** @param {ImagePoint} to @param {boolean} straight */
  const aim = (to, straight) => (straight ? eighth(corners[corners.length - 1], to) : to);
  return {
    move(more, straight = false) {
      floating = aim(more[more.length - 1], straight);
    },
    preview: () => ({ kind: "outline", op: setting.op, points: [...corners, floating] }),
    corner(at, near, straight) {
      if (corners.length > 2 && Math.hypot(at.x - start.x, at.y - start.y) <= near) return true;
      floating = aim(at, straight);
      corners.push(floating);
      return false;
    },
    back() {
      corners.pop();
      return corners.length > 0;
    },
    end: () => poly(corners, setting.op),
  };
}

/** The point on the nearest of eight directions. @param {ImagePoint} from @param {ImagePoint} to @returns {ImagePoint} */
function eighth(from, to) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const angle = (Math.round(Math.atan2(dy, dx) / (Math.PI / 4)) * Math.PI) / 4;
  const length = dx * Math.cos(angle) + dy * Math.sin(angle);
  return { x: from.x + length * Math.cos(angle), y: from.y + length * Math.sin(angle) };
}
