/**
 * The place of the open photo: another takes it at once, with the work that was done on it.
 *
 * @typedef {import("../core/state.js").OpenImage} OpenImage
 * @typedef {import("../canvas/decode.worker.js").Pyramid} Pyramid
 * @typedef {import("./persist.js").Session} Session
 */

import { EMPTY } from "../core/document.js";
import { begin } from "../core/history.js";
import { rememberSession } from "./here.js";

/** @typedef {ReturnType<typeof createPlace>} Place */

/** @param {import("./session.js").Ports} ports @param {import("./keeper.js").Keeper} keeper */
export function createPlace({ store, bitmaps, persistence, leaving, arrived }, keeper) {
  /** @param {ReadonlySet<string>} [patches] of the photo that comes */
  const leave = (patches) => {
    bitmaps.clear(patches);
    if (!store.get().image) return;
    leaving();
    keeper.flush();
    store.update({
      image: null,
      timeline: begin(EMPTY),
      results: {},
      selected: null,
      crosshair: null,
      penDown: false,
      compare: { mode: "off", at: 0.5 },
    });
    rememberSession("");
  };

  return {
    leave,
    /**
     * @param {OpenImage} image @param {Pyramid} pyramid @param {Session | null} session
     * @param {ReadonlySet<string>} [patches] of the session, which bitmaps have already
     */
    enter(image, pyramid, session, patches) {
      leave(patches);
      rememberSession(image.key);
      bitmaps.show(pyramid);
      store.update(({ gallery }) => ({
        image,
        opening: "",
        timeline: session?.timeline ?? begin(EMPTY),
        results: session?.results ?? {},
        gallery: { ...gallery, at: gallery.items.findIndex(({ key }) => key === image.key) },
      }));
      arrived();
      const listed = new Set(store.get().gallery.items.map(({ key }) => key));
      void keeper.during(async () => {
        const { prune } = await import("./keeping.js");
        await prune(persistence, listed);
      });
    },
  };
}
