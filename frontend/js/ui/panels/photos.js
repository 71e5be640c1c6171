/** The list of photos. */

import { find, make } from "../dom.js";

/** @param {import("../../core/store.js").Store<import("../../core/state.js").State>} store @param {(at: number) => void} open */
export function createPhotos(store, open) {
  store.watch(
    (state) => state.gallery,
    ({ items, at }) => {
      const rows = items.map((item, i) =>
        make(
          "li",
          {},
          make("button", {
            type: "button",
            class: "button",
            "aria-current": String(i === at),
            "aria-pressed": String(i === at),
            text: item.name,
            onclick: () => {
              find("gallery").hidePopover();
              open(i);
            },
          }),
        ),
      );
      find("photos").replaceChildren(...rows);
    },
  );
}
