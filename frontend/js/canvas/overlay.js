/**
 * What floats over the canvases as DOM, moved by transform alone: the brush ring, the crosshair of the keyboard, the
 * outline of a rectangle or lasso in the making, and the box that is being filled.
 *
 * @typedef {import("../core/view.js").ScreenPoint} ScreenPoint
 * @typedef {import("../core/view.js").View} View
 * @typedef {import("../core/view.js").Box} Box
 */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {ReturnType<typeof createOverlay>} Overlay */

/** @param {HTMLElement} stage */
export function createOverlay(stage) {
  const ring = part(stage, "ring");
  const label = part(ring, "ring-size");
  const cross = part(stage, "crosshair");
  const activity = part(stage, "activity");
  part(activity, "activity-line");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "outline");
  svg.setAttribute("aria-hidden", "true");
  const outline = document.createElementNS(SVG, "polygon");
  svg.append(outline);
  stage.append(svg);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let fading;

  return {
    /** @param {ScreenPoint | null} at @param {number} diameter screen pixels */
    ring(at, diameter) {
      ring.hidden = at === null;
      if (!at) return;
      ring.style.width = ring.style.height = `${Math.max(3, diameter)}px`;
      ring.style.transform = `translate(${at.x}px, ${at.y}px) translate(-50%, -50%)`;
    },
    /** Shows the size for a moment. @param {string} text */
    flashSize(text) {
      label.textContent = text;
      label.classList.add("shown");
      clearTimeout(fading);
      fading = setTimeout(() => label.classList.remove("shown"), 900);
    },
    /** @param {ScreenPoint | null} at @param {boolean} down */
    crosshair(at, down) {
      cross.hidden = at === null;
      cross.classList.toggle("down", down);
      if (at) cross.style.transform = `translate(${at.x}px, ${at.y}px)`;
    },
    /** @param {readonly ScreenPoint[]} points @param {"add" | "sub"} op */
    outline(points, op) {
      outline.setAttribute("points", points.map((point) => `${point.x},${point.y}`).join(" "));
      outline.setAttribute("class", op);
    },
    /** @param {Box | null} box @param {View} view @param {number} fraction negative: unknown */
    activity(box, view, fraction) {
      activity.hidden = box === null;
      if (!box) return;
      activity.style.transform = `translate(${box.x * view.scale + view.x}px, ${box.y * view.scale + view.y}px)`;
      activity.style.width = `${box.width * view.scale}px`;
      activity.style.height = `${box.height * view.scale}px`;
      activity.classList.toggle("unknown", fraction < 0);
      activity.style.setProperty("--done", String(Math.max(0, fraction)));
    },
  };
}

/** @param {HTMLElement} parent @param {string} name */
function part(parent, name) {
  const element = document.createElement("div");
  element.className = name;
  element.setAttribute("aria-hidden", "true");
  if (name !== "ring-size" && name !== "activity-line") element.hidden = true;
  parent.append(element);
  return element;
}
