/**
 * The two canvases, both as large as the window and never as large as the photo, and the one animation frame.
 *
 * Only this module touches canvas contexts: the layers are functions that get one. Nothing is scheduled while
 * nothing has changed.
 *
 * @typedef {import("../core/view.js").View} View
 * @typedef {import("../core/view.js").Size} Size
 * @typedef {{view: View, viewport: Size, dpr: number, now: number}} Frame
 * @typedef {"image" | "ink" | "stroke"} Part  stroke: only what is new of the stroke being painted
 * @typedef {object} Layers
 * @property {(context: CanvasRenderingContext2D, frame: Frame) => boolean} image  true: call again in the next frame
 * @property {(context: CanvasRenderingContext2D, frame: Frame) => boolean} ink  true: likewise
 * @property {(context: CanvasRenderingContext2D, frame: Frame) => void} stroke
 */

const MOST_DPR = 2;
/** Safari on phones draws nothing on canvases beyond 16.7 million pixels. */
const MOST_PIXELS = 16_000_000;

/** @typedef {ReturnType<typeof createStage>} Stage */

/**
 * @param {HTMLElement} element @param {Layers} layers @param {() => View} view
 * @param {(viewport: Size) => void} resized
 */
export function createStage(element, layers, view, resized) {
  const image = canvas(element, "image-canvas", { alpha: false });
  const ink = canvas(element, "ink-canvas", { alpha: true });
  /** @type {Set<Part>} */
  const dirty = new Set();
  /** @type {Size} */
  let viewport = { width: 1, height: 1 };
  let dpr = 1;
  let requested = 0;

  const draw = (/** @type {number} */ now) => {
    requested = 0;
    const frame = { view: view(), viewport, dpr, now };
    const parts = new Set(dirty);
    dirty.clear();
    if (parts.has("image") && layers.image(prepared(image, frame), frame)) invalidate("image");
    if (parts.has("ink")) {
      wipe(ink);
      if (layers.ink(prepared(ink, frame), frame)) invalidate("ink");
    }
    if (parts.has("ink") || parts.has("stroke")) layers.stroke(prepared(ink, frame), frame);
  };

  /** @param {Part[]} parts */
  const invalidate = (...parts) => {
    for (const part of parts) dirty.add(part);
    if (!requested) requested = requestAnimationFrame(draw);
  };

  const measure = () => {
    viewport = { width: Math.max(1, element.clientWidth), height: Math.max(1, element.clientHeight) };
    const area = viewport.width * viewport.height;
    dpr = Math.min(window.devicePixelRatio || 1, MOST_DPR, Math.sqrt(MOST_PIXELS / area));
    for (const { canvas: target } of [image, ink]) {
      target.width = Math.max(1, Math.round(viewport.width * dpr));
      target.height = Math.max(1, Math.round(viewport.height * dpr));
    }
    resized(viewport);
    cancelAnimationFrame(requested);
    dirty.add("image").add("ink");
    draw(performance.now()); // at once: a resized canvas is blank until it is drawn
  };

  new ResizeObserver(measure).observe(element);
  const watchDpr = () => {
    matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`).addEventListener(
      "change",
      () => {
        measure();
        watchDpr();
      },
      { once: true },
    );
  };
  watchDpr();
  for (const { canvas: target } of [image, ink]) {
    target.addEventListener("contextrestored", () => invalidate("image", "ink"));
  }

  return {
    invalidate,
    /** Looks again how large it is, now rather than in the next frame. */
    measure,
    dpr: () => dpr,
    /** Nothing is left to draw, for tests. */
    still: () => requested === 0,
    /** @param {string} style */
    setInkStyle(style) {
      ink.canvas.dataset.style = style;
      invalidate("ink");
    },
    /** The colour on screen, for tests. @param {number} x @param {number} y screen pixels @returns {number[]} */
    probe: (x, y) => [...image.getImageData(Math.round(x * dpr), Math.round(y * dpr), 1, 1).data],
    /** How much ink there is, 0 to 255, for tests. @param {number} x @param {number} y screen pixels */
    probeInk: (x, y) => ink.getImageData(Math.round(x * dpr), Math.round(y * dpr), 1, 1).data[3],
  };
}

/** @param {HTMLElement} parent @param {string} name @param {CanvasRenderingContext2DSettings} settings */
function canvas(parent, name, settings) {
  const element = document.createElement("canvas");
  element.className = name;
  element.setAttribute("aria-hidden", "true");
  parent.prepend(element);
  if (name === "ink-canvas") parent.querySelector(".image-canvas")?.after(element);
  return /** @type {CanvasRenderingContext2D} */ (element.getContext("2d", settings));
}

/** From here on the context speaks image pixels. @param {CanvasRenderingContext2D} context @param {Frame} frame */
function prepared(context, { view, dpr }) {
  context.setTransform(view.scale * dpr, 0, 0, view.scale * dpr, view.x * dpr, view.y * dpr);
  return context;
}

/** @param {CanvasRenderingContext2D} context */
function wipe(context) {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
}
