/**
 * From a file to pixels that can be drawn: by this browser, or by the server where the browser cannot read the format,
 * shows something else, or has too little memory for the photo.
 *
 * @typedef {import("../wire/protocol.js").ImageInfo} ImageInfo
 * @typedef {import("../canvas/decode.worker.js").Pyramid} Pyramid
 * @typedef {{pyramid: Pyramid, width: number, height: number, asPreview: boolean}} Read
 */

import { API } from "../net/api.js";

const PREVIEW_PX = 4096;
/** Phones that do not say how much memory they have get previews of photos larger than this. */
const SMALL_MEMORY_PIXELS = 16_000_000;

/** @typedef {ReturnType<typeof createReader>} Reader */

/** @param {import("../net/api.js").Api} api @param {import("../canvas/bitmaps.js").Bitmaps} bitmaps */
export function createReader(api, bitmaps) {
  /** What the server makes of a photo. @param {ImageInfo} info @returns {Promise<Read>} */
  const fromServer = async ({ id, width, height }) => {
    const pyramid = await bitmaps.read(await api.blob(`${API}/images/${id}/preview?max=${PREVIEW_PX}`));
    return { pyramid, width, height, asPreview: true };
  };

  return {
    fromServer,

    /** @param {Blob} blob @param {() => Promise<ImageInfo>} sent brings the photo to the server @returns {Promise<Read>} */
    async read(blob, sent) {
      if (smallMemory()) {
        const info = await sent();
        if (info.width * info.height > SMALL_MEMORY_PIXELS) return fromServer(info);
      }
      try {
        const pyramid = await bitmaps.read(blob);
        return { pyramid, width: pyramid.width, height: pyramid.height, asPreview: false };
      } catch {
        return fromServer(await sent()); // a format this browser does not know; perhaps the server does
      }
    },
  };
}

function smallMemory() {
  const memory = /** @type {{deviceMemory?: number}} */ (navigator).deviceMemory;
  return memory === undefined ? matchMedia("(pointer: coarse)").matches : memory <= 2;
}
