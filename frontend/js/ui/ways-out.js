/** Ways out: downloading and copying the result. */

import { shownEdits } from "../core/document.js";
import { documentOf } from "../core/state.js";
import { API } from "../net/api.js";
import { t } from "./i18n.js";

/** @typedef {import("../core/store.js").Store<import("../core/state.js").State>} Store */

/**
 * @param {Store} store @param {import("../net/api.js").Api} api @param {import("./messages.js").Messages} messages
 * @param {() => Promise<string>} imageId
 */
export function createWaysOut(store, api, messages, imageId) {
  /** @param {"keep" | "png"} format */
  const render = async (format) => {
    const edits = shownEdits(documentOf(store.get())).join(",");
    return api.call(`${API}/images/${await imageId()}/render?edits=${edits}&format=${format}`);
  };

  const download = async () => {
    messages.say("Preparing the download");
    const response = await render("keep");
    const url = URL.createObjectURL(await response.blob());
    const link = document.createElement("a");
    link.href = url;
    link.download = nameFrom(response.headers.get("content-disposition")) ?? store.get().image?.name ?? "result.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000); // some browsers read it only after a while
    const reason = /reason="((?:[^"\\]|\\.)*)"/.exec(response.headers.get("x-jpeg") ?? "")?.[1];
    if (reason) messages.tell(t("Saved."), t("The whole JPEG was encoded anew: {reason}.", { reason }));
    else messages.say("The result is downloaded.");
  };

  const copy = async () => {
    if (!("clipboard" in navigator) || typeof ClipboardItem === "undefined") {
      messages.tell(
        t("This browser copies pictures only over https or on localhost"),
        t("Download the result instead."),
        { label: t("Download"), act: guarded(download) },
      );
      return;
    }
    const picture = render("png").then((response) => response.blob());
    await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
    messages.tell(t("Copied"));
  };

  /** @param {() => Promise<void>} act @returns {() => void} */
  const guarded = (act) => () => {
    const attempt = () => act().catch((error) => messages.complain(error, attempt));
    void attempt();
  };

  return { download: guarded(download), copy: guarded(copy) };
}

/** @param {string | null} disposition */
function nameFrom(disposition) {
  const coded = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  return coded ? decodeURIComponent(coded) : null;
}
