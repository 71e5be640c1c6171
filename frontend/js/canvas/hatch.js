/**
 * Ink as stripes.
 *
 * @typedef {import("./stage.js").Frame} Frame
 */

/**
 * Diagonal stripes, for people who cannot tell the tint from the photo.
 * @param {CanvasRenderingContext2D} context @param {string} colour @param {Frame} frame
 * @returns {CanvasPattern | string}
 */
export function hatch(context, colour, frame) {
  const tile = new OffscreenCanvas(8, 8);
  const brush = /** @type {OffscreenCanvasRenderingContext2D} */ (tile.getContext("2d"));
  brush.fillStyle = colour;
  brush.fillRect(0, 0, 8, 8);
  brush.strokeStyle = "black";
  brush.lineWidth = 3;
  for (const offset of [-8, 0, 8]) {
    brush.moveTo(offset - 2, 10);
    brush.lineTo(offset + 10, -2);
  }
  brush.stroke();
  const pattern = context.createPattern(tile.transferToImageBitmap(), "repeat");
  const { view, dpr } = frame;
  pattern?.setTransform(
    new DOMMatrix([1 / (view.scale * dpr), 0, 0, 1 / (view.scale * dpr), -view.x / view.scale, -view.y / view.scale]),
  );
  return pattern ?? colour;
}
