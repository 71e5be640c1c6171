/**
 * The files of the photos in the list: here, in this browser's database, and on the server once they were sent.
 *
 * @typedef {import("../wire/protocol.js").ImageInfo} ImageInfo
 * @typedef {import("../core/state.js").OpenImage} OpenImage
 */

import { t } from "../core/words.js";
import { API } from "../net/api.js";
import { ApiError } from "../wire/protocol.js";

/** @typedef {ReturnType<typeof createOriginals>} Originals */

/** @param {Pick<import("./session.js").Ports, "store" | "api" | "uploads" | "persistence">} ports */
export function createOriginals({ store, api, uploads, persistence }) {
  /** @type {Map<string, Blob>} by the page's key of the photo */
  const files = new Map();

  /** Brings a photo to the server, unless it is there. @param {string} key @param {Blob} blob @param {string} name */
  const send = async (key, blob, name) => {
    const info = await uploads.ensure(key, blob, name);
    const { image } = store.get();
    if (image?.key === key && image.id !== info.id) store.update({ image: { ...image, id: info.id } });
    return info;
  };

  /** From the server's folder. @param {string} key @returns {Promise<Blob | undefined>} undefined: it is not in there */
  const takeIn = async (key) => {
    const item = store.get().gallery.items.find((each) => each.key === key);
    if (!item?.version) return undefined;
    const info = /** @type {ImageInfo} */ (await (await api.post(`${API}/photos`, { name: item.name })).json());
    uploads.remember(key, info);
    return api.blob(`${API}/images/${info.id}/original`);
  };
  // What the server has in its folder is let go of with the photo.
  store.watch(
    (state) => state.image?.key,
    (open) => {
      for (const { key, version } of store.get().gallery.items) if (open && version && key !== open) files.delete(key);
    },
    false,
  );

  return {
    send,
    /** @param {string} key @param {Blob} file */
    keep: (key, file) => void files.set(key, file),
    /** @param {string} key */
    forget: (key) => void files.delete(key),
    /** @param {string} key */
    here: (key) => files.get(key),
    /** @param {string} key @returns {Promise<Blob | undefined>} */
    find: async (key) => files.get(key) ?? (await persistence.loadBlob(key, "original")) ?? takeIn(key),

    /** The server has it already, under the id of an earlier session. @param {OpenImage} image */
    wasSent(image) {
      if (image.id) uploads.remember(image.key, infoOf(image));
    },

    /** The server's name for the open photo, which is sent if it is not there yet. */
    async imageId() {
      const { image } = store.get();
      if (!image) throw new ApiError({ code: "image.empty", title: t("No photo is open") });
      const blob = files.get(image.key);
      if (!blob && image.id) return image.id;
      if (!blob) throw gone();
      return (await send(image.key, blob, image.name)).id;
    },

    imageLost() {
      const { image } = store.get();
      if (image) uploads.remember(image.key);
    },
  };
}

/** What the server said about a photo when it was sent. @param {OpenImage} image @returns {ImageInfo} */
export const infoOf = ({ id, name, width, height, asPreview }) => ({
  id: id ?? "",
  name,
  width,
  height,
  browsers_agree: !asPreview,
});

export const gone = () =>
  new ApiError({ code: "image.not_found", title: t("The photo is gone"), detail: t("Open the file again.") });
