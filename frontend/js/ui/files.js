/** Ways in: choosing, dropping and pasting files. */

import { find, findInput } from "./dom.js";
import { t } from "./i18n.js";

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

  /** @param {(ways: typeof import("./gallery/ways-in.js")) => Promise<void>} act */
  const others = (act) =>
    void import("./gallery/ways-in.js").then(act).catch((error) => messages.complain(error, null));

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
    const { files = [], items = [] } = event.dataTransfer ?? {};
    const entries = [...items].flatMap((item) => item.webkitGetAsEntry?.() ?? []); // they are gone after the event
    if (entries.some((entry) => entry.isDirectory)) others(({ takeFolders }) => takeFolders(entries, take, messages));
    else take(files);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(files);
  });
  for (const button of document.querySelectorAll("[data-sample]"))
    button.addEventListener("click", () => others(({ takeSample }) => takeSample(button, take)));
  if ("launchQueue" in window) others(({ takeLaunched }) => takeLaunched(take));
  return () => input.click();
}

/** Some systems give no type for rarer formats: the name decides then. @param {File} file */
const looksLikePicture = (file) =>
  file.type.startsWith("image/") || /\.(jpe?g|png|webp|tiff?|bmp|hei[cf]|avif|gif|mpo)$/i.test(file.name);
