/** Keys and gestures, as a dialog. */

import { COMMANDS, showKey } from "../../core/commands.js";
import { find, make } from "../dom.js";
import { t } from "../i18n.js";
import { onMac } from "../toolbar.js";
import { GESTURES } from "./key-tables.js";

/** @returns {() => void} shows the help */
export function createHelp() {
  const dialog = /** @type {HTMLDialogElement} */ (find("help"));
  const groups = new Map(COMMANDS.map(({ group }) => [group, COMMANDS.filter((command) => command.group === group)]));
  const sections = [...groups].map(([group, commands]) => {
    const rows = commands.flatMap(({ label, keys }) => [
      make("dt", { text: t(label) }),
      make("dd", {}, ...keys.flatMap((key, i) => [i > 0 ? " " : "", make("kbd", { text: showKey(key, onMac) })])),
    ]);
    return make("section", {}, make("h3", { text: t(group) }), make("dl", {}, ...rows));
  });
  const gestures = GESTURES.flatMap(([gesture, meaning]) => [
    make("dt", { text: t(gesture) }),
    make("dd", { text: t(meaning) }),
  ]);
  find("help-body").replaceChildren(
    ...sections,
    make("section", {}, make("h3", { text: t("Gestures") }), make("dl", { class: "gestures" }, ...gestures)),
  );
  return () => dialog.showModal();
}
