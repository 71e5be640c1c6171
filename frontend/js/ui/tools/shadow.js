/** The shadow that a selected thing casts: its outline, as long as it is offered to be selected too. */

import { find, make } from "../dom.js";
import { t } from "../i18n.js";
import { drawProposal } from "./proposal.js";
import { take } from "./selecting.js";

/** @typedef {import("../../core/shapes.js").Bitmap} Bitmap */

/** @param {import("./selecting.js").Ports} ports */
export function createShadowOffer(ports) {
  const { store, messages } = ports;
  const canvas = make("canvas", { class: "proposal-shadow", "aria-hidden": "true", hidden: "" });
  find("stage").append(canvas);
  const words = t("It casts a shadow");
  /** @type {Bitmap | null} */
  let offered = null;
  const show = () => drawProposal(canvas, offered, store.get().view, "add");
  store.watch((state) => state.view, show, false);
  new MutationObserver(() => {
    if (!offered || (!find("told").hidden && find("told-text").textContent === words)) return;
    offered = null;
    show();
  }).observe(find("told"), { attributes: true, childList: true, characterData: true, subtree: true });

  /** @param {readonly Bitmap[]} shadow of what was just taken */
  return (shadow) => {
    if (shadow.length === 0) return;
    messages.tell(words, "", { label: t("Select it too"), act: () => take(ports, shadow) });
    offered = shadow[0];
    show();
  };
}
