/** Ways in and out: choosing, dropping and pasting files; downloading and copying the result. */

import { shownEdits } from "../core/document.js";
import { documentOf } from "../core/state.js";
import { API } from "../net/api.js";
import { find, findButton, findInput, setText } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("../core/store.js").Store<import("../core/state.js").State>} Store */

/** @param {(files: File[]) => void} open @param {import("./messages.js").Messages} messages */
export function createWaysIn(open, messages) {
  const input = findInput("files");
  const curtain = find("dropping");
  /** @param {Iterable<File>} given */
  const take = (given) => {
    const all = [...given];
    const pictures = all.filter(looksLikePicture);
    for (const other of all.filter((file) => !looksLikePicture(file))) {
      messages.tell(t("{name} is not a picture", { name: other.name }), t("Use JPEG, PNG, WebP, TIFF or BMP."));
    }
    if (pictures.length > 0) open(pictures);
  };

  input.addEventListener("change", () => {
    take(input.files ?? []);
    input.value = "";
  });
  const carriesFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    curtain.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) curtain.hidden = true;
  });
  addEventListener("drop", (event) => {
    curtain.hidden = true;
    if (!carriesFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer?.files ?? []);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(files);
  });
  return () => input.click();
}

/** Some systems give no type for rarer formats: the name decides then. @param {File} file */
const looksLikePicture = (file) =>
  file.type.startsWith("image/") || /\.(jpe?g|png|webp|tiff?|bmp|hei[cf]|avif|gif|mpo)$/i.test(file.name);

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
    messages.say("The result is downloaded.");
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

/** The card of the last session on the empty page. @param {Store} store @param {import("../session/session.js").SessionKeeper} session @param {import("./messages.js").Messages} messages */
export async function offerLast(store, session, messages) {
  const last = await session.last();
  const button = findButton("last");
  if (!last || store.get().image) return;
  const edits = last.timeline.steps[last.timeline.at].doc.edits.length;
  setText(find("last-title"), t("Continue {name}", { name: last.image.name }));
  setText(find("last-detail"), edits === 1 ? t("1 fill") : t("{n} fills", { n: edits }));
  const url = await session.pictureOf(last);
  find("last-picture").hidden = url === "";
  if (url) /** @type {HTMLImageElement} */ (find("last-picture")).src = url;
  button.hidden = false;
  button.addEventListener("click", () => session.continue(last).catch((error) => messages.complain(error, null)), {
    once: true,
  });
}
