/** The mask as a file: what is painted goes out as a PNG, white where it is painted, and comes in from one. */

import { drawShape, setInk } from "../../canvas/ink-layer.js";
import { paintedOf } from "../../canvas/mask-layer.js";
import { canvasOf } from "../../core/canvas.js";
import { addShape } from "../../core/document.js";
import { documentOf } from "../../core/state.js";
import { shapesOn } from "../../edits/extending.js";
import { ApiError } from "../../wire/protocol.js";
import { make } from "../dom.js";
import { t, w } from "../i18n.js";
import { offer, stemOf } from "./saving.js";

/** How far the shapes of a mask and of a photo may differ: a mask may be a smaller copy, with rounded sides. */
const SAME_SHAPE = 0.01;

/** @typedef {ReturnType<typeof createMaskFile>} MaskFile */

/** @param {Pick<import("../panels/choosing.js").Ports, "store" | "messages" | "step" | "strokesFreed">} ports */
export function createMaskFile({ store, messages, step, strokesFreed }) {
  /** What is painted now, or else what all steps removed. */
  const shapes = () => {
    const { draft, edits } = documentOf(store.get());
    return draft.length > 0 ? draft : shapesOn(edits);
  };

  const save = async () => {
    if (!store.get().image) return;
    const { width, height } = canvasOf(store.get());
    const painted = shapes();
    if (painted.length === 0) throw problem("page.mask_empty", t("Nothing is painted"));
    const canvas = new OffscreenCanvas(1, 1);
    const context = /** @type {CanvasRenderingContext2D} */ (/** @type {unknown} */ (canvas.getContext("2d")));
    for (const shape of painted) while (!drawShape(context, shape)) await new Promise(requestAnimationFrame); // decoded in full
    canvas.width = width;
    canvas.height = height;
    setInk(context, "white");
    for (const shape of painted) drawShape(context, shape);
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "black";
    context.fillRect(0, 0, width, height);
    offer(await canvas.convertToBlob({ type: "image/png" }), `${stemOf(store.get())}-mask.png`);
    messages.tell(t("The mask is saved."));
  };

  /** @param {File} file */
  const take = async (file) => {
    const { image } = store.get();
    if (!image) return;
    const size = canvasOf(store.get());
    const picture = await createImageBitmap(file).catch(() => {
      throw problem("page.undecodable", t("{name} is not a picture", { name: file.name }));
    });
    const { width, height } = picture;
    if (Math.abs((width * size.height) / (height * size.width) - 1) > SAME_SHAPE) {
      const sizes = { w: width, h: height, x: size.width, y: size.height };
      throw problem(
        "page.mask_size",
        t("The mask does not fit the photo"),
        t("The mask has {w} × {h} pixels, the photo {x} × {y}.", sizes),
      );
    }
    const { canvas, box } = paintedOf(picture, size.width, size.height);
    picture.close();
    if (!box) throw problem("page.mask_empty", t("Nothing is painted in {name}", { name: file.name }));
    const png = await base64(await cut(canvas, box).convertToBlob({ type: "image/png" }));
    if (store.get().image?.key !== image.key) return;
    const shape = { op: "add", kind: "bitmap", x: box.x, y: box.y, w: box.width, h: box.height, png };
    step(w("mask"), (doc) => addShape(doc, /** @type {import("../../core/shapes.js").Shape} */ (Object.freeze(shape))));
    strokesFreed();
  };

  const guarded = (/** @type {() => Promise<void>} */ act) =>
    void act().catch((error) => messages.complain(error, null));
  const input = make("input", {
    type: "file",
    accept: "image/png,image/jpeg,image/webp,image/bmp",
    onchange: () => {
      const [file] = input.files ?? [];
      input.value = "";
      if (file) guarded(() => take(file));
    },
  });
  return {
    save: () => guarded(save),
    load: () => input.click(),
    take: (/** @type {File} */ file) => guarded(() => take(file)),
  };
}

/** @param {string} code @param {string} title @param {string} [detail] */
const problem = (code, title, detail = "") => new ApiError({ code, title, detail });

/** @param {OffscreenCanvas} canvas @param {import("../../core/view.js").Box} box */
function cut(canvas, { x, y, width, height }) {
  const part = new OffscreenCanvas(width, height);
  part.getContext("2d")?.drawImage(canvas, -x, -y);
  return part;
}

/** @param {Blob} blob @returns {Promise<string>} */
function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",")[1]);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
