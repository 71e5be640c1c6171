/**
 * The moment of a fill: the paint drains out of what was painted, and a light passes through it until it is gone.
 * Drawn once as a mask; what moves is moved by the style sheet alone.
 *
 * @typedef {import("../core/view.js").Box} Box
 * @typedef {import("../core/view.js").View} View
 * @typedef {import("../core/shapes.js").Shape} Shape
 */

import { drawShape, setInk } from "./ink-layer.js";

const LINE_PX = 1.5;
const LEAVE_MS = 180;

/** @typedef {ReturnType<typeof createGlow>} Glow */

/** For one fill. @param {HTMLElement} stage @param {() => void} changed called when the painted shape is shown by it, or is not any more */
export function createGlow(stage, changed) {
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
    /** Whether the shapes of the running fill are drawn here, and not as ink. */
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
          for (const each of done.slice(parts)) context.clearRect(each.x, each.y, each.width, each.height);
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
