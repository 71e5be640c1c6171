/**
 * From work that was kept to an open photo; loaded for the first that is opened again.
 *
 * @typedef {import("./persist.js").Session} Session
 * @typedef {import("./here.js").Item} Item
 */

import { current } from "../core/history.js";
import { patchesOf } from "../core/state.js";
import { gone, infoOf } from "./originals.js";

/**
 * @param {import("./session.js").Ports} ports @param {Pick<import("./opening.js").Parts, "originals" | "place">} parts
 * @param {import("./opening.js").Opening} opening
 */
export function createReopening({ store, api, bitmaps, persistence }, { originals, place }, opening) {
  const { open, refuse, beginTurn, reader } = opening;

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

  return { reopen, bring };
}
