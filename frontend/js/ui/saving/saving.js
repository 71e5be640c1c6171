/** Ways out: saving the result as a file, and copying it. */

import { shownEdits } from "../../core/document.js";
import { documentOf } from "../../core/state.js";
import { API } from "../../net/api.js";
import { find } from "../dom.js";
import { t } from "../i18n.js";

/**
 * @typedef {import("../../core/store.js").Store<import("../../core/state.js").State>} Store
 * @typedef {"keep" | "jpeg" | "png" | "webp" | "tiff"} Format  keep: as the photo was
 * @typedef {ReturnType<typeof createSaving>} Saving
 */

const READ_AFTER_MS = 60_000;

/**
 * @param {Store} store @param {import("../../net/api.js").Api} api @param {import("../messages.js").Messages} messages
 * @param {() => Promise<string>} imageId
 */
export function createSaving(store, api, messages, imageId) {
  let busy = false;

  /** @param {Format} format @param {number | null} [quality] */
  const render = async (format, quality = null) => {
    const edits = shownEdits(documentOf(store.get())).join(",");
    const more = quality === null ? "" : `&quality=${quality}`;
    return api.call(`${API}/images/${await imageId()}/render?edits=${edits}&format=${format}${more}`);
  };

  /** @param {boolean} now */
  const showBusy = (now) => {
    busy = now;
    for (const button of document.querySelectorAll("[data-saves]")) button.setAttribute("aria-busy", String(now));
  };

  /** @param {Format} [format] @param {number | null} [quality] */
  const save = async (format = "keep", quality = null) => {
    if (busy) return;
    showBusy(true);
    messages.say(t("Saving…"));
    try {
      const response = await render(format, quality);
      const suffix = /\.\w+$/.exec(nameFrom(response.headers.get("content-disposition")))?.[0] ?? ".png";
      const name = editedName(store.get(), suffix);
      offer(await response.blob(), name);
      find("notes").replaceChildren();
      const reason = /reason="((?:[^"\\]|\\.)*)"/.exec(response.headers.get("x-jpeg") ?? "")?.[1];
      messages.tell(
        t("Saved as {name}", { name }),
        reason && format === "keep" ? t("The whole JPEG was encoded anew: {reason}.", { reason: t(reason) }) : "",
      );
    } finally {
      showBusy(false);
    }
  };

  const copy = async () => {
    if (!("clipboard" in navigator) || typeof ClipboardItem === "undefined") {
      messages.tell(t("This browser copies pictures only over https or on localhost"), t("Save the result instead."), {
        label: t("Save"),
        act: guarded(save),
      });
      return;
    }
    const picture = render("png").then((response) => response.blob());
    await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
    messages.tell(t("Copied"));
  };

  /** @template {unknown[]} A @param {(...given: A) => Promise<void>} act @returns {(...given: A) => void} */
  const guarded =
    (act) =>
    (...given) => {
      const attempt = () => act(...given).catch((error) => messages.complain(error, attempt));
      void attempt();
    };

  return { save: guarded(save), copy: guarded(copy) };
}

/** What a saved file is called. @param {import("../../core/state.js").State} state @param {string} suffix with the dot */
export function editedName(state, suffix) {
  const { edits } = documentOf(state);
  return `${stemOf(state)}${edits.length > 0 ? "-edited" : ""}${suffix}`;
}

/** @param {import("../../core/state.js").State} state */
export const stemOf = ({ image }) => image?.name.replace(/\.\w{1,5}$/, "") || "image";

/** Hands a file to the browser, which saves it as it was told to. @param {Blob} blob @param {string} name */
export function offer(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), READ_AFTER_MS); // some browsers read it only after a while
}

/** @param {string | null} disposition */
function nameFrom(disposition) {
  const coded = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  return coded ? decodeURIComponent(coded) : "";
}
