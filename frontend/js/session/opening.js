/**
 * From a file, or from work that was kept, to an open photo.
 *
 * A photo that is open stays until the next one can be drawn. Opening takes time, and whoever opens another photo
 * meanwhile wins: each opening has a turn, and an older one is thrown away when it is ready.
 *
 * @typedef {import("../core/protocol.js").ImageInfo} ImageInfo
 * @typedef {import("./persist.js").Session} Session
 * @typedef {import("./here.js").Item} Item
 * @typedef {object} Parts
 * @property {import("./originals.js").Originals} originals
 * @property {import("./place.js").Place} place
 * @property {import("./keeper.js").Keeper} keeper
 * @property {(key: string) => void} unlist            a photo cannot be opened
 * @property {(key: string | undefined) => Promise<void>} back  to a photo of the list
 */

import { current } from "../core/history.js";
import { ApiError } from "../core/protocol.js";
import { patchesOf } from "../core/state.js";
import { t } from "../core/words.js";
import { gone, infoOf } from "./originals.js";
import { createReader } from "./reader.js";

/** @param {import("./session.js").Ports} ports @param {Parts} parts */
export function createOpening(ports, { originals, place, keeper, unlist, back }) {
  const { store, api, bitmaps, persistence } = ports;
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

  /** Brings patches to where they can be drawn. @param {Session} session @returns {Promise<Set<string>>} their names */
  const restorePatches = async (session) => {
    const all = Object.values(session.results).flat().flatMap(patchesOf);
    const kept = all.map(async ({ name, url }) => {
      const blob = (await persistence.loadBlob(session.image.key, name)) ?? (await api.blob(url));
      return /** @type {const} */ ([name, blob]);
    });
    const blobs = new Map(await Promise.all(kept));
    const shown = current(session.timeline).edits.flatMap(
      ({ key, chosen }) => session.results[key]?.filter(({ edit }) => edit === chosen) ?? [],
    );
    await bitmaps.addPatches(shown.flatMap(patchesOf), blobs);
    return new Set(blobs.keys());
  };

  /** @param {Session} session @param {Blob | undefined} blob the original, unless only the server has it */
  const reopen = async (session, blob) => {
    const { image } = session;
    const wanted = beginTurn(image.name);
    if (blob) {
      originals.keep(image.key, blob);
      originals.wasSent(image);
    }
    const fromServer = async () =>
      reader.fromServer(blob ? await originals.send(image.key, blob, image.name) : infoOf(image));
    try {
      const { pyramid } = await (blob && !image.asPreview
        ? bitmaps.read(blob).then((pyramid) => ({ pyramid }), fromServer)
        : fromServer());
      const patches = await restorePatches(session);
      if (!wanted()) return bitmaps.discard(pyramid);
      place.enter(image, pyramid, session, patches);
    } finally {
      if (wanted()) store.update({ opening: "" });
    }
  };

  /** A photo of the list, with the work that was done on it. @param {Item} item */
  const bring = async (item) => {
    const wanted = beginTurn(item.name);
    try {
      const [session, blob] = [await persistence.load(item.key), await originals.find(item.key)];
      if (!wanted()) return;
      if (session) await reopen(session, blob);
      else if (blob) await open(item, blob);
      else throw gone();
    } catch (error) {
      if (item.version) return refuse(error, item, wanted, undefined);
      if (wanted()) store.update({ opening: "" });
      throw error;
    }
  };

  return { open, reopen, bring };
}
