/**
 * The panel behind the arrow of Save: the format, its quality, and the mask's ways out and in.
 *
 * @typedef {import("./saving.js").Format} Format
 */

import { canvasOf } from "../../core/canvas.js";
import { formatBytes } from "../../wire/protocol.js";
import { find, icon, make, setText } from "../dom.js";
import { number, t } from "../i18n.js";
import { estimateBytes } from "./estimate.js";
import { editedName } from "./saving.js";

const QUALITY = 92;
/** @type {readonly {format: Format, name: string, type: string, suffix: string, hasQuality: boolean}[]} */
const FORMATS = [
  { format: "keep", name: "Original", type: "", suffix: "", hasQuality: false },
  { format: "jpeg", name: "JPEG", type: "image/jpeg", suffix: ".jpg", hasQuality: true },
  { format: "png", name: "PNG", type: "image/png", suffix: ".png", hasQuality: false },
  { format: "webp", name: "WebP", type: "image/webp", suffix: ".webp", hasQuality: true },
  { format: "tiff", name: "TIFF", type: "image/png", suffix: ".tif", hasQuality: false }, // packed the same way
];

/**
 * @param {import("./saving.js").Store} store @param {import("./saving.js").Saving} saving
 * @param {import("./mask-file.js").MaskFile} masks @param {import("../../canvas/bitmaps.js").Bitmaps} bitmaps
 */
export function createSavingPanel(store, saving, masks, bitmaps) {
  const panel = find("save");
  let chosen = FORMATS[0];
  const quality = make("input", {
    type: "range",
    id: "save-quality",
    min: 1,
    max: 100,
    value: QUALITY,
    oninput: () => show(),
  });
  const percent = make("output", { class: "tabular", for: "save-quality" });
  const asked = make(
    "div",
    { class: "field" },
    make("label", { for: "save-quality", text: t("Quality") }),
    percent,
    quality,
  );
  const name = make("p", { class: "muted small name" });
  const size = make("p", { class: "muted small tabular" });
  const about = make("p", { class: "muted small" });
  let asks = 0;

  /** Pixels at once, bytes as soon as they are known. */
  const showSize = async () => {
    const { image } = store.get();
    const pyramid = bitmaps.pyramid();
    if (!image || !pyramid) return;
    const ask = ++asks;
    const canvas = canvasOf(store.get());
    const pixels = `${number(canvas.width)} × ${number(canvas.height)}`;
    const bytes = chosen.type ? await estimateBytes(pyramid, canvas, chosen.type, Number(quality.value)) : image.bytes;
    if (ask === asks) setText(size, bytes ? `${pixels}, ${t("about {size}", { size: formatBytes(bytes) })}` : pixels);
  };

  const show = () => {
    const state = store.get();
    const own = /\.\w+$/.exec(state.image?.name ?? "")?.[0] ?? "";
    setText(name, editedName(state, chosen.suffix || own));
    asked.hidden = !chosen.hasQuality;
    about.hidden = chosen.hasQuality;
    setText(about, chosen.format === "keep" ? t(AS_IT_WAS) : t("Every pixel is kept as it is."));
    setText(percent, quality.value);
    if (panel.matches(":popover-open")) void showSize();
  };

  const tiles = FORMATS.map((each) =>
    make(
      "label",
      { class: "tile" },
      make("input", {
        type: "radio",
        name: "format",
        checked: each === chosen,
        onchange: () => {
          chosen = each;
          show();
        },
      }),
      make("span", { text: t(each.name) }),
    ),
  );
  /** @param {string} label @param {string} picture @param {() => void} act */
  const item = (label, picture, act) =>
    make(
      "button",
      { type: "button", class: "button item", onclick: act },
      icon(picture),
      make("span", { text: label }),
    );
  const leave = (/** @type {() => void} */ act) => () => {
    panel.hidePopover();
    act();
  };

  panel.replaceChildren(
    make(
      "div",
      { class: "head" },
      make("h2", { id: "save-title", text: t("Save a copy") }),
      make(
        "button",
        { type: "button", class: "button square", "aria-label": t("Close"), onclick: leave(() => {}) },
        icon("close"),
      ),
    ),
    name,
    size,
    make("fieldset", { class: "tiles" }, make("legend", { class: "unseen", text: t("Format") }), ...tiles),
    asked,
    about,
    make(
      "button",
      {
        type: "button",
        class: "button strong full",
        "data-saves": true,
        onclick: leave(() => saving.save(chosen.format, chosen.hasQuality ? Number(quality.value) : null)),
      },
      icon("save"),
      make("span", { text: t("Save") }),
    ),
    make(
      "div",
      { class: "list" },
      item(t("Copy the photo"), "copy", leave(saving.copy)),
      item(t("Save the mask"), "mask", leave(masks.save)),
      item(t("Load a mask"), "open", leave(masks.load)),
    ),
  );
  panel.addEventListener("toggle", show);
  store.follow([(state) => state.image, (state) => state.timeline], show);
}

const AS_IT_WAS = "Format and quality as they were; what you did not paint on stays as it is.";
