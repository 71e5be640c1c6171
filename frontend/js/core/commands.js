/**
 * Everything the page can do by a key, in one table: the toolbar, the tooltips, the help dialog and the key table of
 * docs/page.md are made from it, and no other module knows a key.
 *
 * Keys: a character or a name as KeyboardEvent.key has it; "Mod" is Ctrl, or Cmd on a Mac. `hold` commands begin on
 * press and end on release. `plain` keys (no Mod) can be turned off in the settings, for speech input.
 *
 * @typedef {import("./state.js").State} State
 * @typedef {object} Command
 * @property {string} id
 * @property {string} label
 * @property {string} group
 * @property {readonly string[]} keys
 * @property {boolean} [hold]
 * @property {boolean} [repeat]      runs again while the key is held
 * @property {(state: State) => boolean} [when]  enabled; always when absent
 */

import { canRedo, canUndo } from "./history.js";
import { documentOf, marks, sourceIsMarked, takesSource } from "./state.js";

/** @param {State} state */
const hasImage = (state) => state.image !== null;
/** @param {State} state */
const hasDraft = (state) => hasImage(state) && documentOf(state).draft.length > 0;
/** What the tool in hand has painted. @param {State} state */
const canClear = (state) => (marks(state.tool) ? sourceIsMarked(state) : hasDraft(state));
/** @param {State} state */
const hasEdits = (state) => hasImage(state) && documentOf(state).edits.length > 0;
/** @param {State} state */
const several = (state) => hasImage(state) && state.gallery.items.length > 1;
/** @param {State} state */
const drawerOpen = (state) => state.selected !== null;

/** @type {readonly Command[]} */
export const COMMANDS = Object.freeze([
  { id: "tool-paint", label: "Paint", group: "Paint", keys: ["p"] },
  { id: "tool-brush", label: "Free hand", group: "Paint", keys: ["b"] },
  { id: "tool-lasso", label: "Lasso", group: "Paint", keys: ["l"] },
  { id: "tool-rect", label: "Box", group: "Paint", keys: ["r"] },
  { id: "tool-polygon", label: "Corners", group: "Paint", keys: ["k"] },
  { id: "tool-eraser", label: "Erase", group: "Paint", keys: ["e"] },
  { id: "tool-point", label: "Point at a thing", group: "Paint", keys: ["t"] },
  { id: "tool-snap", label: "Rough stroke", group: "Paint", keys: ["q"] },
  { id: "tool-magnet", label: "Magnetic lasso", group: "Paint", keys: ["g"] },
  { id: "tool-wand", label: "Magic wand", group: "Paint", keys: ["w"] },
  { id: "tool-find", label: "Find", group: "Paint", keys: ["f"], when: hasImage },
  { id: "tool-swap", label: "Swap brush and eraser", group: "Paint", keys: ["x"] },
  { id: "brush-smaller", label: "Smaller brush", group: "Paint", keys: ["["], repeat: true },
  { id: "brush-larger", label: "Larger brush", group: "Paint", keys: ["]"], repeat: true },
  { id: "invert", label: "Invert what is painted", group: "Paint", keys: ["i"], when: hasDraft },
  { id: "clear", label: "Clear what is painted", group: "Paint", keys: ["Delete", "Backspace"], when: canClear },
  {
    id: "run",
    label: "Remove",
    group: "Remove",
    keys: ["Enter"],
    when: (state) => hasDraft(state) && !state.crosshair,
  },
  { id: "cancel", label: "Cancel", group: "Remove", keys: ["Escape"] },
  {
    id: "cancel-last",
    label: "Cancel the last fill",
    group: "Remove",
    keys: ["Shift+Escape"],
    when: (state) => state.jobs.length > 0,
  },
  { id: "more", label: "More results", group: "Remove", keys: ["m"], when: drawerOpen },
  { id: "result-previous", label: "Previous result", group: "Remove", keys: [","], when: hasEdits },
  { id: "result-next", label: "Next result", group: "Remove", keys: ["."], when: hasEdits },
  { id: "edit-mask", label: "Edit mask", group: "Remove", keys: ["u"], when: hasEdits },
  {
    id: "drawer",
    label: "Show or hide the results",
    group: "Remove",
    keys: ["v"],
    when: (state) => drawerOpen(state) || hasEdits(state),
  },
  {
    id: "undo",
    label: "Undo",
    group: "History",
    keys: ["Mod+z"],
    repeat: true,
    when: (state) => canUndo(state.timeline),
  },
  {
    id: "redo",
    label: "Redo",
    group: "History",
    keys: ["Mod+Shift+z", "Mod+y"],
    repeat: true,
    when: (state) => canRedo(state.timeline),
  },
  { id: "compare", label: "Show the original (hold)", group: "View", keys: ["\\"], hold: true, when: hasEdits },
  { id: "compare-slider", label: "Before and after, side by side", group: "View", keys: ["/"], when: hasEdits },
  {
    id: "pan",
    label: "Move the photo (hold and drag)",
    group: "View",
    keys: ["Space"],
    hold: true,
    when: (state) => hasImage(state) && !state.crosshair,
  },
  { id: "tool-source", label: "Copy from here", group: "Paint", keys: ["s"], when: takesSource },
  { id: "tool-avoid", label: "Never from here", group: "Paint", keys: ["a"], when: takesSource },
  { id: "tool-extend", label: "Extend", group: "View", keys: ["c"], when: hasImage },
  { id: "tool-cutout", label: "Cut out, enlarge", group: "View", keys: ["d"], when: hasImage },
  { id: "tool-hand", label: "Move", group: "View", keys: ["h"] },
  { id: "zoom-fit", label: "Fit to the window", group: "View", keys: ["0"], when: hasImage },
  { id: "zoom-100", label: "Actual pixels", group: "View", keys: ["1"], when: hasImage },
  { id: "zoom-in", label: "Zoom in", group: "View", keys: ["+", "="], repeat: true, when: hasImage },
  { id: "zoom-out", label: "Zoom out", group: "View", keys: ["-"], repeat: true, when: hasImage },
  { id: "open", label: "Open a photo", group: "File", keys: ["Mod+o", "o"] },
  { id: "photo-previous", label: "Previous photo", group: "File", keys: ["PageUp"], when: several },
  { id: "photo-next", label: "Next photo", group: "File", keys: ["PageDown"], when: several },
  { id: "download", label: "Save the result", group: "File", keys: ["Mod+s"], when: hasImage },
  { id: "save-as", label: "Save a copy", group: "File", keys: ["Mod+Shift+s"], when: hasImage },
  { id: "copy", label: "Copy the result", group: "File", keys: ["Mod+c"], when: hasImage },
  { id: "help", label: "Keys and gestures", group: "File", keys: ["?"] },
]);

/** @type {ReadonlyMap<string, Command>} */
const BY_ID = new Map(COMMANDS.map((command) => [command.id, command]));

/** @param {string} id */
export function commandById(id) {
  const command = BY_ID.get(id);
  if (!command) throw new Error(`No command is called "${id}".`);
  return command;
}

/** @param {Command} command @param {State} state */
export const enabled = (command, state) => command.when?.(state) ?? true;

/**
 * @typedef {{key: string, ctrlKey: boolean, metaKey: boolean, shiftKey: boolean, altKey: boolean, repeat: boolean,
 *   getModifierState?: (name: string) => boolean}} KeyPress */

/** @param {KeyPress} press @returns {string} in the notation of the table */
export function keyName(press) {
  const key = press.key === " " ? "Space" : press.key.length === 1 ? press.key.toLowerCase() : press.key;
  const typed = press.getModifierState?.("AltGraph") ?? false; // looks like Ctrl and Alt where it only makes a sign
  const mod = !typed && (press.ctrlKey || press.metaKey) ? "Mod+" : "";
  const letterOrName = key.length > 1 || key.toLowerCase() !== key.toUpperCase(); // Shift is part of making other signs
  return `${mod}${press.shiftKey && letterOrName ? "Shift+" : ""}${press.altKey && !typed ? "Alt+" : ""}${key}`;
}

/**
 * @param {KeyPress} press @param {State} state @returns {Command | null} enabled, and allowed by the settings
 */
export function commandFor(press, state) {
  const name = keyName(press);
  const command = COMMANDS.find((candidate) => candidate.keys.includes(name));
  if (!command || !enabled(command, state)) return null;
  if (press.repeat && !command.repeat && !command.hold) return null;
  if (!state.prefs.singleKeys && name.length === 1) return null;
  return command;
}

/** @param {string} key @param {boolean} [mac] @returns {string} for people */
export function showKey(key, mac = false) {
  const names = { Mod: mac ? "⌘" : "Ctrl", Shift: mac ? "⇧" : "Shift", Delete: "Del", Escape: "Esc" };
  return key
    .split(/\+(?=.)/)
    .map(
      (part) => /** @type {Record<string, string>} */ (names)[part] ?? (part.length === 1 ? part.toUpperCase() : part),
    )
    .join(mac ? "" : "+");
}
