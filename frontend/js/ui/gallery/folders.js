/** Folders that were dropped: the pictures in them, however deep. */

const MOST_FILES = 5000;

/**
 * @param {readonly FileSystemEntry[]} entries @param {(file: File) => boolean} wanted
 * @returns {Promise<File[]>} by path, no more than 5,000
 */
export async function filesIn(entries, wanted) {
  /** @type {{path: string, file: File}[]} */
  const found = [];
  const waiting = [...entries];
  for (let entry = waiting.shift(); entry && found.length < MOST_FILES; entry = waiting.shift()) {
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory) waiting.push(...(await childrenOf(/** @type {FileSystemDirectoryEntry} */ (entry))));
    else {
      const file = await fileOf(/** @type {FileSystemFileEntry} */ (entry));
      if (wanted(file)) found.push({ path: entry.fullPath, file });
    }
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
