/**
 * The moment of a fill: the paint drains out of what was painted, and a light passes through it until it is gone.
 * Drawn once as a mask; what moves is moved by the style sheet alone.
 *
 * @typedef {import("../core/view.js").Box} Box
 * @typedef {import("../core/view.js").View} View
 * @typedef {import("../core/shapes.js").Shape} Shape
 */

import { canvasOf } from "../core/canvas.js";
import { grown, intersection, visibleBox } from "../core/view.js";
import { drawShape, setInk } from "./ink-layer.js";

const EDGE_PX = 3;
const LINE_PX = 1.5;
const LEAVE_MS = 180;

/** @typedef {ReturnType<typeof createGlows>} Glows */

/** @param {HTMLElement} stage @param {() => void} changed called when a painted shape is shown by it, or is not any more */
export function createGlows(stage, changed) {
  /** By the number of its job. @type {Map<number, ReturnType<typeof createGlow>>} */
  const glows = new Map();

  return {
    /** Whether the shapes of a running fill are drawn here, and not as ink. @param {number} job */
    ready: (job) => glows.get(job)?.ready() ?? false,

    /** @param {View} view */
    place(view) {
      for (const glow of glows.values()) glow.place(view);
    },

    /** Every fill under way has its own; what is done of it does not shimmer any more. @param {import("../core/state.js").State} state @param {number} dpr */
    async show(state, dpr) {
      const { view, viewport, image } = state;
      const fresh = state.jobs.filter((job) => job.fresh);
      for (const [number, glow] of glows) {
        if (fresh.some((job) => job.number === number)) continue;
        glow.hide();
        glows.delete(number);
      }
      if (!image) return;
      for (const job of fresh) {
        const glow = glows.get(job.number) ?? createGlow(stage, changed);
        if (!glows.has(job.number)) {
          glows.set(job.number, glow);
          const edge = EDGE_PX / view.scale; // for the line around it
          const box = intersection(grown(job.box, edge), visibleBox(view, canvasOf(state), viewport));
          if (box) await glow.show(job.shapes, box, view, dpr);
        }
        await glow.cut(job.early.map(({ box }) => box));
      }
    },
  };
}

/** For one fill. @param {HTMLElement} stage @param {() => void} changed called when the painted shape is shown by it, or is not any more */
function createGlow(stage, changed) {
  /** @type {{element: HTMLElement, body: HTMLElement, line: HTMLCanvasElement, mask: OffscreenCanvas, box: Box, scale: number, url: string, ready: boolean} | null} */
  let shown = null;
  /** @type {readonly Box[]} */
  let done = [];
  let parts = 0;
  let cutting = false;

  /** @param {View} view */
  const place = (view) => {
    if (!shown) return;
    const { element, box } = shown;
    element.style.transform = `translate(${box.x * view.scale + view.x}px, ${box.y * view.scale + view.y}px)`;
    element.style.width = `${box.width * view.scale}px`;
    element.style.height = `${box.height * view.scale}px`;
  };

  const hide = () => {
    if (!shown) return;
    const { element, url } = shown;
    shown = null;
    element.classList.add("leaving");
    setTimeout(() => {
      element.remove();
      if (url) URL.revokeObjectURL(url);
    }, LEAVE_MS);
    changed();
  };

  const setMask = async () => {
    const mine = shown;
    if (!mine) return;
    const url = URL.createObjectURL(await mine.mask.convertToBlob());
    if (shown !== mine) return URL.revokeObjectURL(url);
    mine.body.style.maskImage = `url(${url})`;
    if (mine.url) URL.revokeObjectURL(mine.url);
    mine.url = url;
  };

  return {
    place,
    hide,
    ready: () => shown?.ready ?? false,

    /** What is finished shimmers no more. @param {readonly Box[]} boxes all that are */
    async cut(boxes) {
      done = boxes;
      if (cutting) return;
      cutting = true;
      while (shown && parts < done.length) {
        const { mask, line, box, scale } = shown;
        for (const canvas of [mask, line]) {
          const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
          context.setTransform(scale, 0, 0, scale, -box.x * scale, -box.y * scale);
          for (const each of done.slice(parts)) {
            const { x, y, width, height } = grown(each, EDGE_PX / scale); // with the line around it
            context.clearRect(x, y, width, height);
          }
        }
        parts = done.length;
        await setMask(); // takes a while: what comes meanwhile is cut in one go
      }
      cutting = false;
    },

    /** @param {readonly Shape[]} shapes @param {Box} box in sight, in image pixels @param {View} view @param {number} dpr */
    async show(shapes, box, view, dpr) {
      const scale = view.scale * dpr;
      const [width, height] = [Math.ceil(box.width * scale), Math.ceil(box.height * scale)];
      if (width < 1 || height < 1) return;
      const mask = new OffscreenCanvas(width, height);
      draw(mask, shapes, box, scale, 0);
      const element = part("glow");
      const body = part("glow-body");
      body.append(part("glow-ink"), part("glow-light"));
      const line = outline(mask, shapes, box, scale, dpr);
      element.append(body, line);
      shown = { element, body, line, mask, box, scale, url: "", ready: false };
      await setMask();
      if (!shown) return;
      shown.ready = true;
      place(view);
      stage.append(element);
      changed();
    },
  };
}

/** @param {string} name */
function part(name) {
  const element = document.createElement("div");
  element.className = name;
  element.setAttribute("aria-hidden", "true");
  return element;
}

/** @param {OffscreenCanvas | HTMLCanvasElement} canvas @param {readonly Shape[]} shapes @param {Box} box @param {number} scale @param {number} grow in image pixels */
function draw(canvas, shapes, box, scale, grow) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(scale, 0, 0, scale, -box.x * scale, -box.y * scale);
  setInk(context, "white");
  for (const shape of shapes) drawShape(context, shape, shape.op === "add" ? grow : -grow);
  return context;
}

/** A white hairline around the shapes. @param {OffscreenCanvas} mask @param {readonly Shape[]} shapes @param {Box} box @param {number} scale @param {number} dpr */
function outline(mask, shapes, box, scale, dpr) {
  const canvas = document.createElement("canvas");
  canvas.className = "glow-line";
  [canvas.width, canvas.height] = [mask.width, mask.height];
  const context = draw(canvas, shapes, box, scale, (LINE_PX * dpr) / scale);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.globalCompositeOperation = "destination-out";
  context.drawImage(mask, 0, 0);
  return canvas;
}
