/**
 * What floats over the canvases as DOM, moved by transform alone: the brush ring, the crosshair of the keyboard, the
 * outline of a rectangle or lasso in the making.
 *
 * @typedef {import("../core/view.js").ScreenPoint} ScreenPoint
 */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {ReturnType<typeof createOverlay>} Overlay */

/** @param {HTMLElement} stage */
export function createOverlay(stage) {
  const ring = part(stage, "ring");
  const label = part(ring, "ring-size");
  const cross = part(stage, "crosshair");
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
      if (!at && ring.classList.contains("middle")) return;
      ring.classList.remove("middle");
      ring.hidden = at === null;
      if (!at) return;
      ring.style.width = ring.style.height = `${Math.max(3, diameter)}px`;
      ring.style.transform = `translate(${at.x}px, ${at.y}px) translate(-50%, -50%)`;
    },
    /**
     * Shows the size for a moment, in the middle of the stage where no pointer shows it.
     * @param {string} text @param {number} diameter screen pixels
     */
    flashSize(text, diameter) {
      if (ring.hidden || ring.classList.contains("middle")) {
        this.ring({ x: stage.clientWidth / 2, y: stage.clientHeight / 2 }, diameter);
        ring.classList.add("middle");
      }
      label.textContent = text;
      label.classList.add("shown");
      clearTimeout(fading);
      fading = setTimeout(() => {
        label.classList.remove("shown");
        if (ring.classList.contains("middle")) ring.hidden = true;
        ring.classList.remove("middle");
      }, 900);
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
  };
}

/** @param {HTMLElement} parent @param {string} name */
function part(parent, name) {
  const element = document.createElement("div");
  element.className = name;
  element.setAttribute("aria-hidden", "true");
  if (name !== "ring-size") element.hidden = true;
  parent.append(element);
  return element;
}
