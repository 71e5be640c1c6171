/**
 * The panel behind the arrow of Save: the format, its quality, and the mask's ways out and in.
 *
 * @typedef {import("./saving.js").Format} Format
 */

import { find, icon, make, setText } from "../dom.js";
import { t } from "../i18n.js";
import { editedName } from "./saving.js";

const QUALITY = 92;
/** @type {readonly {format: Format, name: string, suffix: string, hasQuality: boolean}[]} */
const FORMATS = [
  { format: "keep", name: "Original", suffix: "", hasQuality: false },
  { format: "jpeg", name: "JPEG", suffix: ".jpg", hasQuality: true },
  { format: "png", name: "PNG", suffix: ".png", hasQuality: false },
  { format: "webp", name: "WebP", suffix: ".webp", hasQuality: true },
  { format: "tiff", name: "TIFF", suffix: ".tif", hasQuality: false },
];

/**
 * @param {import("./saving.js").Store} store @param {import("./saving.js").Saving} saving
 * @param {import("./mask-file.js").MaskFile} masks
 */
export function createSavingPanel(store, saving, masks) {
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
  const about = make("p", { class: "muted small" });

  const show = () => {
    const state = store.get();
    const own = /\.\w+$/.exec(state.image?.name ?? "")?.[0] ?? "";
    setText(name, editedName(state, chosen.suffix || own));
    asked.hidden = !chosen.hasQuality;
    about.hidden = chosen.hasQuality;
    setText(about, chosen.format === "keep" ? t(AS_IT_WAS) : t("Every pixel is kept as it is."));
    setText(percent, quality.value);
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
  store.follow([(state) => state.image, (state) => state.timeline], show);
}

const AS_IT_WAS = "Format and quality as they were; what you did not paint on stays as it is.";
