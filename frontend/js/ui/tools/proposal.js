/** A mask that is proposed: its outline over the photo, drawn as large as the window shows it. */

import { maskOf, reductionFor } from "../../canvas/mask-layer.js";
import { toScreen } from "../../core/view.js";

/** @typedef {import("../../core/shapes.js").Bitmap} Bitmap */

/** Of the outline, in screen pixels. */
const WIDTH_PX = 2;
const MOST_PX = 4096;

/** @type {WeakMap<Bitmap, {reduction: number, picture: Promise<OffscreenCanvas>}>} */
const known = new WeakMap();

/**
 * @param {HTMLCanvasElement} canvas @param {Bitmap | null} mask null: nothing
 * @param {import("../../core/view.js").View} view @param {import("../../core/shapes.js").Op} op
 */
export function drawProposal(canvas, mask, view, op) {
  canvas.dataset.mask = mask ? `${mask.x} ${mask.y} ${mask.w} ${mask.h}` : "";
  canvas.hidden = mask === null;
  if (!mask) return;
  const asked = canvas.dataset.mask;
  const reduction = reductionFor(mask, view.scale);
  let decoded = known.get(mask);
  if (!decoded || reduction < decoded.reduction) decoded = { reduction, picture: maskOf(mask, reduction) };
  known.set(mask, decoded);
  decoded.picture.then(
    (picture) => canvas.dataset.mask === asked && place(canvas, picture, mask, view, op),
    () => {},
  );
}

/** @param {HTMLCanvasElement} canvas @param {OffscreenCanvas} picture @param {Bitmap} mask @param {import("../../core/view.js").View} view @param {import("../../core/shapes.js").Op} op */
function place(canvas, picture, mask, view, op) {
  const { x, y } = toScreen(view, mask);
  const shrink = Math.min(1, MOST_PX / (Math.max(mask.w, mask.h) * view.scale));
  const [width, height] = [mask.w, mask.h].map((side) => Math.max(1, Math.round(side * view.scale * shrink)));
  canvas.width = width + 2 * WIDTH_PX;
  canvas.height = height + 2 * WIDTH_PX;
  canvas.style.inlineSize = `${canvas.width}px`;
  canvas.style.blockSize = `${canvas.height}px`;
  canvas.style.transform = `translate(${x - WIDTH_PX / shrink}px, ${y - WIDTH_PX / shrink}px) scale(${1 / shrink})`;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  for (let step = 0; step < 8; step++) {
    const [dx, dy] = [Math.cos((step * Math.PI) / 4), Math.sin((step * Math.PI) / 4)];
    context.drawImage(picture, WIDTH_PX * (1 + dx), WIDTH_PX * (1 + dy), width, height);
  }
  context.globalCompositeOperation = "destination-out"; // what is left is a line around it
  context.drawImage(picture, WIDTH_PX, WIDTH_PX, width, height);
  context.globalCompositeOperation = "source-over";
  context.globalAlpha = 0.35;
  const tint = new OffscreenCanvas(width, height);
  const brush = /** @type {OffscreenCanvasRenderingContext2D} */ (tint.getContext("2d"));
  brush.drawImage(picture, 0, 0, width, height);
  brush.globalCompositeOperation = "source-in";
  brush.fillStyle = op === "add" ? getComputedStyle(canvas).getPropertyValue("--ink") || "#f43" : "#fff";
  brush.fillRect(0, 0, width, height);
  context.drawImage(tint, WIDTH_PX, WIDTH_PX);
  context.globalAlpha = 1;
}
