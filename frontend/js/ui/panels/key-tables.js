/** What keys and gestures do, for the help and docs/page.md. */

import { COMMANDS, showKey } from "../../core/commands.js";

/** What the pointer does, for the help dialog and docs/page.md. @type {readonly (readonly [string, string])[]} */
export const GESTURES = Object.freeze([
  ["Drag", "paint"],
  ["Right button, or the pen's eraser", "erase"],
  ["Shift and click", "straight line from the last point"],
  ["Corners: click each, then the first again", "outline of straight edges (Shift: by 45°; Backspace: back)"],
  ["Wheel", "zoom where the pointer is"],
  ["Shift or Alt and wheel, or Alt and drag", "brush size"],
  ["Middle button, or Space and drag", "move the photo"],
  ["Two fingers", "zoom and move; a tap undoes"],
  ["Three fingers, tapped", "redo"],
  ["One finger with Move, on a photo that is seen whole", "the next or the previous photo"],
  ["Pointing: click, or drag a box", "hold a thing (again: add; Alt or right button: take away; Tab: part or whole)"],
  ["Arrow keys on the photo", "move a crosshair (Shift: faster); Enter begins and ends a stroke"],
  ["Ctrl+V, or drop a file anywhere", "open a photo"],
]);

/** The key table of docs/page.md. */
export function keyTable() {
  const rows = COMMANDS.map(
    ({ label, keys }) => `| ${label} | ${keys.map((key) => `\`${showKey(key)}\``).join(", ")} |`,
  );
  return ["| What | Keys |", "|---|---|", ...rows].join("\n");
}

/** The gesture table of docs/page.md. */
export const gestureTable = () =>
  ["| Gesture | What it does |", "|---|---|", ...GESTURES.map(([a, b]) => `| ${a} | ${b} |`)].join("\n");
