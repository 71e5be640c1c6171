/** Ties the state to the canvases: what to draw, and when to draw it again. */

import { drawImageLayer } from "../canvas/image-layer.js";
import { drawInkLayer, drawSegment, setInk } from "../canvas/ink-layer.js";
import { createOverlay } from "../canvas/overlay.js";
import { createStage } from "../canvas/stage.js";
import { canvasOf, patchesOn } from "../core/canvas.js";
import { sourceOf } from "../core/document.js";
import { stroke } from "../core/shapes.js";
import { brushDiameter, brushes, documentOf, marks, takesSource } from "../core/state.js";
import { between, pan, toImage, toScreen } from "../core/view.js";
import { createInput } from "./input.js";

const GLIDE_MS = 160;
/** The same in both themes, so that a transparent photo looks the same. @type {readonly [string, string]} */
export const CHECKS = ["#ffffff", "#d9d9d9"];

/**
 * @param {import("../core/store.js").Store<import("../core/state.js").State>} store
 * @param {HTMLElement} element @param {import("../canvas/bitmaps.js").Bitmaps} bitmaps
 * @param {Pick<import("./input.js").Ports, "painted" | "run" | "say" | "sized" | "stroking">} ports
 */
export function createViewer(store, element, bitmaps, ports) {
  const overlay = createOverlay(element);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let colours = readColours();
  let glides = 0;
  /** @type {typeof import("../canvas/hatch.js").hatch | null} loaded for who wants it */
  let hatch = null;
  /** @type {import("../canvas/glow.js").Glows | null} loaded with the first fill */
  let glows = null;

  const stage = createStage(
    element,
    {
      image(context, frame) {
        const state = store.get();
        const { compare, image } = state;
        const canvas = canvasOf(state);
        const layers =
          compare.mode === "hold"
            ? { tiles: null, patches: [] }
            : bitmaps.layers(patchesOn(state, (state.peek ?? documentOf(state)).edits), canvas.photo);
        const early = state.jobs.flatMap((job) => job.early);
        const coming = [
          ...bitmaps.estimates(),
          ...early.map(({ name, box }) => ({ box, pixels: bitmaps.patch(name) })),
        ];
        return drawImageLayer(context, frame, {
          canvas,
          pyramid: image ? bitmaps.pyramid() : null,
          tiles: layers.tiles,
          patches: compare.mode === "hold" ? [] : [...layers.patches, ...coming],
          split: compare.mode === "slider" ? compare.at * frame.viewport.width : null,
          surround: colours.stage,
          checks: colours.checks,
          fadeMs: still.matches ? 0 : 120,
        });
      },
      ink(context, frame) {
        const state = store.get();
        if (state.compare.mode === "hold") return false;
        clipToPhoto(context);
        drawSource(context, frame);
        setInk(context, ink(context, frame));
        const { edge } = state;
        if (edge) context.filter = `blur(${(edge.featherPx * frame.view.scale * frame.dpr) / 2}px)`;
        const glowing = new Set(state.jobs.flatMap((job) => (glows?.ready(job.number) ? job.shapes : [])));
        const { draft } = documentOf(state);
        const shown = edge && draft.length === 0 ? [dab(state)] : draft.filter((shape) => !glowing.has(shape));
        const decoding = drawInkLayer(context, frame, shown, edge?.growPx);
        setInk(context, toolInk(context, frame));
        for (const segment of input.drawn()) drawSegment(context, segment);
        context.restore();
        return decoding;
      },
      stroke(context, frame) {
        const fresh = input.takeFresh();
        if (fresh?.kind === "outline") {
          overlay.outline(
            fresh.points.map((point) => toScreen(frame.view, point)),
            fresh.op,
          );
        } else if (fresh) {
          clipToPhoto(context);
          setInk(context, toolInk(context, frame));
          drawSegment(context, fresh);
          context.restore();
        }
      },
    },
    () => store.get().view,
    (viewport) => store.update({ viewport }),
  );

  /** Nothing is painted beside the photo. Saves the context. @param {CanvasRenderingContext2D} context set to image pixels */
  const clipToPhoto = (context) => {
    const { width, height } = canvasOf(store.get());
    context.save();
    context.beginPath();
    context.rect(0, 0, width, height);
    context.clip();
  };

  /** What stands for strokes where there are none, to show their edge. @param {import("../core/state.js").State} state */
  const dab = (state) => {
    const { view, viewport } = state;
    return stroke([toImage(view, { x: viewport.width / 2, y: viewport.height / 2 })], brushDiameter(state), "add");
  };

  /** @param {CanvasRenderingContext2D} context @param {import("../canvas/stage.js").Frame} frame */
  const ink = (context, frame) =>
    store.get().prefs.ink === "hatch" && hatch ? hatch(context, colours.ink, frame) : colours.ink;

  /** What the tool paints with. @param {CanvasRenderingContext2D} context @param {import("../canvas/stage.js").Frame} frame */
  const toolInk = (context, frame) => {
    const side = marks(store.get().tool);
    return side ? colours[side] : ink(context, frame);
  };

  /** Where fills may copy from, and where not. @param {CanvasRenderingContext2D} context @param {import("../canvas/stage.js").Frame} frame */
  const drawSource = (context, frame) => {
    const state = store.get();
    if (!takesSource(state)) return;
    for (const [side, shapes] of Object.entries(sourceOf(documentOf(state)))) {
      setInk(context, colours[/** @type {"include" | "exclude"} */ (side)]);
      drawInkLayer(context, frame, shapes);
    }
  };

  const input = createInput({ ...ports, store, element, overlay, invalidate: (part) => stage.invalidate(part) });

  store.watch(documentOf, () => stage.invalidate("image", "ink"), false);
  store.watch(
    (state) => state.results,
    () => stage.invalidate("image"),
    false,
  );
  store.watch(
    (state) => state.image,
    () => stage.invalidate("image", "ink"),
    false,
  );
  store.watch(
    (state) => state.compare,
    () => stage.invalidate("image", "ink"),
    false,
  );
  store.watch(
    (state) => state.peek,
    () => stage.invalidate("image"),
    false,
  );
  store.watch(takesSource, () => stage.invalidate("ink"), false);
  store.watch(
    (state) => state.edge,
    () => stage.invalidate("ink"),
    false,
  );
  store.watch(
    (state) => state.prefs.ink,
    async (style) => {
      stage.setInkStyle(style);
      if (style !== "hatch" || hatch) return;
      ({ hatch } = await import("../canvas/hatch.js"));
      stage.invalidate("ink");
    },
  );
  store.watch(
    (state) => state.jobs,
    () => {
      stage.invalidate("image", "ink");
      void glow().catch(() => {}); // without it the strokes stay as they are
    },
    false,
  );
  store.watch(
    (state) => state.view,
    (view) => glows?.place(view),
    false,
  );
  store.watch((state) => state.crosshair, showCrosshair, false);
  store.watch((state) => state.penDown, showCrosshair, false);
  store.watch((state) => state.view, showCrosshair, false);
  store.watch(
    (state) => state.tool,
    (tool) => {
      element.classList.toggle("painting-tool", brushes(tool));
      element.classList.toggle("shape-tool", ["rect", "lasso", "polygon", "magnet", "wand"].includes(tool));
      element.classList.toggle("hand-tool", ["hand", "extend", "cutout"].includes(tool));
    },
  );

  async function glow() {
    const { createGlows } = await import("../canvas/glow.js");
    glows ??= createGlows(element, () => stage.invalidate("ink"));
    await glows.show(store.get(), stage.dpr());
  }

  function showCrosshair() {
    const { crosshair, penDown, view } = store.get();
    overlay.crosshair(crosshair && toScreen(view, crosshair), penDown);
  }

  const recolour = () => {
    colours = readColours();
    stage.invalidate("image", "ink");
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);

  /** Moves to a view that was not chosen by the person. @param {import("../core/view.js").View} to */
  const glide = (to) => {
    const from = store.get().view;
    const began = performance.now();
    const length = still.matches ? 0 : GLIDE_MS;
    const turn = ++glides;
    const move = (/** @type {number} */ now) => {
      if (turn !== glides || !store.get().fitted) return;
      const share = length > 0 ? Math.min(1, Math.max(0, (now - began) / length)) : 1;
      store.update({ view: between(from, to, 1 - (1 - share) ** 3) });
      if (share < 1) requestAnimationFrame(move);
    };
    move(began);
  };

  /** The canvas begins elsewhere: the photo stays where it is seen. @param {number} dx @param {number} dy image pixels */
  const shift = (dx, dy) => store.update(({ view }) => ({ view: pan(view, dx * view.scale, dy * view.scale) }));

  return { stage, input, overlay, recolour, glide, shift };
}

/** Colours that canvases need, as the style sheet has them now. */
function readColours() {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.forcedColorAdjust = "none"; // canvases keep what we mean
  document.body.append(probe);
  const read = (/** @type {string} */ name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = {
    stage: read("--surface"),
    ink: read("--ink"),
    include: read("--copied"),
    exclude: read("--avoided"),
    checks: CHECKS,
  };
  probe.remove();
  return colours;
}
