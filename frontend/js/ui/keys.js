/** The keyboard: every key goes through the table of commands. */

import { COMMANDS, commandById, commandFor, enabled, keyName } from "../core/commands.js";
import { somethingOpen } from "./dom.js";

/**
 * @typedef {import("../core/state.js").State} State
 * @typedef {Readonly<Record<string, (() => void) | {start: () => void, stop: () => void}>>} Actions  by command id
 */

/**
 * @param {import("../core/store.js").Store<State>} store @param {Actions} actions
 * @returns {(id: string) => void} runs a command if it is possible now
 */
export function createKeys(store, actions) {
  for (const { id, hold } of COMMANDS) {
    const action = actions[id];
    if (!action || (typeof action === "object") !== Boolean(hold))
      throw new Error(`The command "${id}" has no fitting action.`);
  }
  /** @type {Map<string, string>} held command by the place of the key that holds it: what it types changes with Shift */
  const held = new Map();

  /** @param {string} id */
  const run = (id) => {
    const action = actions[id];
    if (enabled(commandById(id), store.get()) && typeof action === "function") action();
  };

  const release = (/** @type {string} */ place) => {
    const action = actions[held.get(place) ?? ""];
    held.delete(place);
    if (typeof action === "object") action.stop();
  };

  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const command = commandFor(event, store.get());
    if (!command || belongsToElement(event)) return;
    if (somethingOpen() && !(event.ctrlKey || event.metaKey)) return;
    if (command.id === "copy" && !getSelection()?.isCollapsed) return;
    event.preventDefault();
    if (!command.hold) run(command.id);
    else if (!held.has(event.code)) {
      held.set(event.code, command.id);
      const action = actions[command.id];
      if (typeof action === "object") action.start();
    }
  });
  addEventListener("keyup", (event) => {
    if (held.has(event.code)) release(event.code);
  });
  addEventListener("blur", () => {
    for (const place of [...held.keys()]) release(place);
  });
  return run;
}

/** Typing, and keys that press the focused control. @param {KeyboardEvent} event */
function belongsToElement(event) {
  const target = event.target instanceof HTMLElement ? event.target : document.body;
  if (target.isContentEditable) return true;
  const mod = event.ctrlKey || event.metaKey;
  if (target.matches("select, textarea, input:not([type=checkbox], [type=radio], [type=range])"))
    return !mod || event.key !== "s";
  const key = keyName(event);
  return (key === "Enter" || key === "Space") && target.closest("button, a, summary, input") !== null;
}
