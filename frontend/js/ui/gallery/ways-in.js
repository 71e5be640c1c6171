/**
 * Further ways in: folders that are dropped, the samples, and what the system opens with the installed page.
 *
 * @typedef {(files: File[]) => void} Take
 */

import { t } from "../i18n.js";

const MOST_FILES = 5000;
const PICTURE = /\.(jpe?g|png|webp|tiff?|bmp|hei[cf]|avif|gif|mpo)$/i;

/** The pictures in folders, however deep. @param {readonly FileSystemEntry[]} entries @param {Take} take @param {import("../messages.js").Messages} messages */
export async function takeFolders(entries, take, messages) {
  const found = await filesIn(entries);
  if (found.length > 0) take(found);
  else messages.tell(t("There is no picture in this folder."));
}

/** @param {Element} button @param {Take} take */
export async function takeSample(button, take) {
  const name = `${/** @type {HTMLElement} */ (button).dataset.sample}.jpg`;
  const small = /** @type {HTMLImageElement} */ (button.querySelector("img")).src;
  const response = await fetch(small.replace("-small.jpg", ".jpg"));
  take([new File([await response.blob()], name, { type: "image/jpeg" })]);
}

/** @param {Take} take */
export async function takeLaunched(take) {
  /** @type {any} */ (window).launchQueue.setConsumer(
    async (/** @type {{files: FileSystemFileHandle[]}} */ { files }) =>
      take(await Promise.all(files.map((handle) => handle.getFile()))),
  );
}

/**
 * @param {readonly FileSystemEntry[]} entries
 * @returns {Promise<File[]>} by path, no more than 5,000
 */
async function filesIn(entries) {
  /** @type {{path: string, file: File}[]} */
  const found = [];
  const waiting = [...entries];
  for (let entry = waiting.shift(); entry && found.length < MOST_FILES; entry = waiting.shift()) {
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory) waiting.push(...(await childrenOf(/** @type {FileSystemDirectoryEntry} */ (entry))));
    else if (PICTURE.test(entry.name))
      found.push({ path: entry.fullPath, file: await fileOf(/** @type {FileSystemFileEntry} */ (entry)) });
  }
  const byPath = new Intl.Collator(undefined, { numeric: true });
  return found.sort((a, b) => byPath.compare(a.path, b.path)).map(({ file }) => file);
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** Browsers give a folder's entries in parts, until a part is empty. @param {FileSystemDirectoryEntry} folder */
async function childrenOf(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const all = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (part.length === 0) return all;
    all.push(...part);
  }
}
