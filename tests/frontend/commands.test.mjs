import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { COMMANDS, commandFor, keyName, showKey } from "../../frontend/js/core/commands.js";
import { addShape, EMPTY } from "../../frontend/js/core/document.js";
import { begin } from "../../frontend/js/core/history.js";
import { rect } from "../../frontend/js/core/shapes.js";
import { DEFAULT_PREFS, initialState } from "../../frontend/js/core/state.js";
import { gestureTable, keyTable } from "../../frontend/js/ui/panels/key-tables.js";
import { config } from "./boot.mjs";

const shape = /** @type {import("../../frontend/js/core/shapes.js").Rect} */ (
  rect({ x: 0, y: 0 }, { x: 5, y: 5 }, { width: 9, height: 9 }, "add")
);
const empty = initialState(
  {
    config,
    models: { current: "opencv", wanted: "opencv", models: [] },
  },
  DEFAULT_PREFS,
);
const painted = {
  ...empty,
  image: { key: "k", name: "a.jpg", bytes: 1, width: 9, height: 9, id: null, asPreview: false },
  timeline: begin(addShape(EMPTY, shape)),
};

/** @param {string} key @param {Partial<import("../../frontend/js/core/commands.js").KeyPress>} [more] */
const press = (key, more = {}) => ({
  key,
  ctrlKey: false,
  metaKey: false,
  shiftKey: false,
  altKey: false,
  repeat: false,
  ...more,
});

test("no key means two things", () => {
  const keys = COMMANDS.flatMap((command) => command.keys);
  assert.equal(new Set(keys).size, keys.length);
});

test("Tab is left to the browser", () => {
  assert.ok(!COMMANDS.some((command) => command.keys.some((key) => key.includes("Tab"))));
});

test("Shift does not matter for signs, and does for letters", () => {
  assert.equal(keyName(press("?", { shiftKey: true })), "?");
  assert.equal(keyName(press("Z", { shiftKey: true, metaKey: true })), "Mod+Shift+z");
  assert.equal(keyName(press(" ")), "Space");
});

test("a command that is not possible now does not answer to its key", () => {
  assert.equal(commandFor(press("Enter"), empty), null);
  assert.equal(commandFor(press("Enter"), painted)?.id, "run");
  assert.equal(commandFor(press("z", { ctrlKey: true }), painted), null);
});

test("Enter and Space paint, instead of filling and panning, while the crosshair is out", () => {
  const aiming = { ...painted, crosshair: { x: 1, y: 1 } };
  assert.equal(commandFor(press("Enter"), aiming), null);
  assert.equal(commandFor(press(" "), aiming), null);
});

test("plain keys can be turned off", () => {
  const quiet = { ...painted, prefs: { ...DEFAULT_PREFS, singleKeys: false } };
  assert.equal(commandFor(press("b"), quiet), null);
  assert.equal(commandFor(press("s", { ctrlKey: true }), quiet)?.id, "download");
});

test("holding a key repeats only what makes sense to repeat", () => {
  assert.equal(commandFor(press("[", { repeat: true }), painted)?.id, "brush-smaller");
  assert.equal(commandFor(press("Enter", { repeat: true }), painted), null);
});

test("keys are shown in the words of the system", () => {
  assert.equal(showKey("Mod+Shift+z"), "Ctrl+Shift+Z");
  assert.equal(showKey("Mod+Shift+z", true), "⌘⇧Z");
  assert.equal(showKey("+"), "+");
});

test("the tables of docs/page.md are current", () => {
  const page = readFileSync(new URL("../../docs/page.md", import.meta.url), "utf8");
  assert.ok(page.includes(keyTable()), `docs/page.md should contain:\n${keyTable()}`);
  assert.ok(page.includes(gestureTable()), `docs/page.md should contain:\n${gestureTable()}`);
});
