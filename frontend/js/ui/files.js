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
    if (!entries.some((entry) => entry.isDirectory)) return take(files);
    import("./gallery/folders.js")
      .then(({ filesIn }) => filesIn(entries, looksLikePicture))
      .then((found) => {
        if (found.length > 0) open(found);
        else messages.tell(t("There is no picture in this folder."));
      })
      .catch((error) => messages.complain(error, null));
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(files);
  });
  // A file that the system opens with the installed page.
  /** @type {any} */ (window).launchQueue?.setConsumer(
    async (/** @type {{files: FileSystemFileHandle[]}} */ { files }) =>
      take(await Promise.all(files.map((handle) => handle.getFile()))),
  );
  for (const button of document.querySelectorAll("[data-sample]"))
    button.addEventListener("click", async () => {
      const { sample } = await import("./sample.js");
      take([await sample(/** @type {HTMLElement} */ (button))]);
    });
  return () => input.click();
}

/** Some systems give no type for rarer formats: the name decides then. @param {File} file */
const looksLikePicture = (file) =>
  file.type.startsWith("image/") || /\.(jpe?g|png|webp|tiff?|bmp|hei[cf]|avif|gif|mpo)$/i.test(file.name);
