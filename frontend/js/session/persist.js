/**
 * Keeps work in this browser's database: the original file once, each patch once, and the document shortly after every
 * change. A few sessions are kept, the newest ones.
 *
 * @typedef {object} Session
 * @property {string} key
 * @property {number} savedAt
 * @property {import("../core/state.js").OpenImage} image
 * @property {import("../core/history.js").Timeline} timeline
 * @property {Readonly<Record<string, readonly import("../core/state.js").Result[]>>} results
 */

/** @typedef {ReturnType<typeof createPersistence>} Persistence */

/** @param {(error: unknown) => void} failed told once when this browser keeps nothing */
export function createPersistence(failed) {
  /** @type {Promise<IDBDatabase | null>} */
  const opened = openDatabase().catch((error) => {
    failed(error);
    return null;
  });

  /**
   * @template T @param {"sessions" | "blobs"} store @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} act @returns {Promise<T | undefined>} undefined: nothing is kept here
   */
  const use = async (store, mode, act) => {
    const database = await opened;
    if (!database) return undefined;
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(store, mode);
      const request = act(transaction.objectStore(store));
      transaction.commit?.(); // at once: the page may be on its way out
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  };

  /** @param {string} session */
  const blobsOf = (session) => IDBKeyRange.bound(`${session}/`, `${session}/\uffff`);

  return {
    /** @param {Session} session */
    save: (session) => use("sessions", "readwrite", (store) => store.put(session)),
    /** @param {string} key @returns {Promise<Session | undefined>} */
    load: async (key) => {
      const session = await use("sessions", "readonly", (store) => store.get(key));
      return session && upgraded(session);
    },
    /** @param {string} session @param {string} name @param {Blob} blob */
    saveBlob: (session, name, blob) => use("blobs", "readwrite", (store) => store.put(blob, `${session}/${name}`)),
    /** @param {string} session @param {string} name @returns {Promise<Blob | undefined>} */
    loadBlob: (session, name) => use("blobs", "readonly", (store) => store.get(`${session}/${name}`)),

    /** @returns {Promise<Session[]>} newest first */
    async list() {
      const sessions = /** @type {Session[]} */ ((await use("sessions", "readonly", (store) => store.getAll())) ?? []);
      return sessions.map(upgraded).sort((a, b) => b.savedAt - a.savedAt);
    },

    /** @param {string} key */
    async drop(key) {
      await use("blobs", "readwrite", (store) => store.delete(blobsOf(key)));
      await use("sessions", "readwrite", (store) => store.delete(key));
    },

    /** Names of files: SESSION/NAME. @param {string} [session] of one alone @returns {Promise<string[]>} */
    async blobNames(session) {
      const range = session === undefined ? undefined : blobsOf(session);
      return ((await use("blobs", "readonly", (store) => store.getAllKeys(range))) ?? []).map(String);
    },
  };
}

/**
 * A session as this version knows it: in version 0.1 an result had one `patch`.
 * @param {Session} session @returns {Session}
 */
export function upgraded(session) {
  const upgrade = (/** @type {any} */ { patch, ...result }) => ({ ...result, patches: result.patches ?? [patch] });
  const lists = Object.entries(session.results).map(([key, results]) => [key, results.map(upgrade)]);
  return { ...session, results: Object.fromEntries(lists) };
}

/** @returns {Promise<IDBDatabase>} */
function openDatabase() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("lama-server", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("sessions", { keyPath: "key" });
      request.result.createObjectStore("blobs");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
