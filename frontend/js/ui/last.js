/** What can be gone on with, on the empty page. */

import { find, findButton, setText } from "./dom.js";
import { count, t } from "./i18n.js";

/** @typedef {import("../core/store.js").Store<import("../core/state.js").State>} Store */

/** The card of the last session on the empty page. @param {import("../session/persist.js").Session} last @param {Store} store @param {import("../session/restoring.js").Restoring} session @param {import("./messages.js").Messages} messages */
export async function offerLast(last, store, session, messages) {
  const button = findButton("last");
  if (store.get().image) return;
  const edits = last.timeline.steps[last.timeline.at].doc.edits.length;
  setText(find("last-title"), t("Continue {name}", { name: last.image.name }));
  setText(find("last-detail"), count(edits, "1 fill", "{n} fills"));
  const url = await session.pictureOf(last);
  find("last-picture").hidden = url === "";
  if (url) /** @type {HTMLImageElement} */ (find("last-picture")).src = url;
  button.hidden = false;
  button.addEventListener("click", () => session.continue(last).catch((error) => messages.complain(error, null)), {
    once: true,
  });
}
