/**
 * From a file to an open photo.
 *
 * A photo that is open stays until the next one can be drawn. Opening takes time, and whoever opens another photo
 * meanwhile wins: each opening has a turn, and an older one is thrown away when it is ready.
 *
 * @typedef {import("../wire/protocol.js").ImageInfo} ImageInfo
 * @typedef {import("./here.js").Item} Item
 * @typedef {object} Parts
 * @property {import("./originals.js").Originals} originals
 * @property {import("./place.js").Place} place
 * @property {import("./keeper.js").Keeper} keeper
 * @property {(key: string) => void} unlist            a photo cannot be opened
 * @property {(key: string | undefined) => Promise<void>} back  to a photo of the list
 */

import { t } from "../core/words.js";
import { ApiError } from "../wire/protocol.js";
import { createReader } from "./reader.js";

/** @typedef {ReturnType<typeof createOpening>} Opening */

/** @param {import("./session.js").Ports} ports @param {Parts} parts */
export function createOpening(ports, { originals, place, keeper, unlist, back }) {
  const { store, api, bitmaps } = ports;
  const reader = createReader(api, bitmaps);
  let turns = 0;

  /** @param {string} name @returns {() => boolean} whether this opening is still the latest */
  const beginTurn = (name) => {
    turns += 1;
    const turn = turns;
    store.update({ opening: "reading", openingName: name });
    return () => turn === turns;
  };

  /** Shows what the server sees if the browser sees something else. @param {string} key @param {ImageInfo} info */
  const settle = async (key, info) => {
    const isOpen = () => store.get().image?.key === key;
    const { image } = store.get();
    if (!image || !isOpen()) return;
    if (info.browsers_agree && image.width === info.width && image.height === info.height) {
      if (image.id !== info.id) store.update({ image: { ...image, id: info.id } });
      return;
    }
    const { pyramid, ...read } = await reader.fromServer(info);
    if (!isOpen()) return bitmaps.discard(pyramid);
    bitmaps.show(pyramid);
    store.update({ image: { ...image, id: info.id, ...read } });
    ports.arrived();
  };

  /**
   * A photo cannot be opened: the one that was open before it stays, or comes back.
   * @param {unknown} error @param {Item} item @param {() => boolean} wanted @param {string | undefined} before
   */
  const refuse = async (error, item, wanted, before) => {
    const unreachable = error instanceof ApiError && error.code === "page.unreachable";
    const isOpen = store.get().image?.key === item.key;
    if (unreachable && isOpen) return; // the next fill brings the photo over
    const blob = originals.here(item.key);
    ports.complain(error, unreachable && blob ? () => void open(item, blob) : null);
    if (!unreachable) unlist(item.key);
    if (isOpen) {
      place.leave();
      await back(before);
    } else if (wanted()) store.update({ opening: "" });
  };

  /** @param {Item} item @param {Blob} blob @returns {Promise<void>} */
  const open = async (item, blob) => {
    const { key, name } = item;
    const wanted = beginTurn(name);
    ports.say(t("Opening {name}…", { name }));
    originals.keep(key, blob);
    const sent = originals.send(key, blob, name);
    sent.catch(() => {}); // whoever needs the photo on the server asks again, and is told then
    const before = store.get().image?.key;
    try {
      const { pyramid, ...read } = await reader.read(blob, () => sent);
      if (!wanted()) return bitmaps.discard(pyramid);
      const id = read.asPreview ? (await sent).id : null;
      place.enter({ key, name, bytes: blob.size, id, ...read }, pyramid, null);
      ports.say(t("{name} is open, {width} by {height} pixels.", { name, width: read.width, height: read.height }));
      if (!item.version) await keeper.keep(key, "original", blob);
      if (!read.asPreview) await settle(key, await sent);
    } catch (error) {
      await refuse(error, item, wanted, before);
    }
  };

  return { open, refuse, beginTurn, reader };
}
