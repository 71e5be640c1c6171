import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("../../frontend/js/", import.meta.url));
const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"));
const source = new Map(files.map((name) => [name.replaceAll("\\", "/"), readFileSync(root + name, "utf8")]));

/** @param {string} text */
const withoutComments = (text) => text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");

/** As static_files.py sends it. @param {string} text */
const asSent = (text) => withoutComments(text).replaceAll(/^[ \t]+/gm, "");

/** Which folders a folder may import from; itself always. @type {Record<string, string[]>} */
const MAY_IMPORT = {
  core: [],
  edits: ["core"],
  wire: ["core"],
  tools: ["core"],
  canvas: ["core", "tools"],
  net: ["core", "wire"],
  session: ["core", "wire", "net", "canvas"],
  jobs: ["core", "edits", "wire", "canvas", "net"],
  acts: ["core", "edits", "wire", "tools", "canvas", "net", "session", "jobs", "ui"],
  ui: ["core", "edits", "wire", "tools", "canvas", "net", "session", "jobs"],
};

test("modules import downwards only", () => {
  for (const [name, text] of source) {
    const folder = name.includes("/") ? name.split("/")[0] : null;
    if (!folder) continue; // the composition root
    for (const [, target] of text.matchAll(/^(?:import|export)[^"]*? from "(\.[^"]+)"|^import "(\.[^"]+)"/gm)) {
      const other = new URL(target, `file:///${name}`).pathname.split("/")[1];
      assert.ok(other === folder || MAY_IMPORT[folder].includes(other), `${name} imports ${target}`);
    }
  }
});

test("no folder holds more than twelve modules", () => {
  /** @type {Record<string, number>} */
  const count = {};
  for (const name of source.keys()) count[posix.dirname(name)] = (count[posix.dirname(name)] ?? 0) + 1;
  assert.deepEqual(
    Object.entries(count).filter(([, modules]) => modules > 12),
    [],
  );
});

test("text is never parsed as markup, and no code is made from strings", () => {
  for (const [name, text] of source) {
    assert.doesNotMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"/,
      name,
    );
  }
});

test("the core knows no page", () => {
  for (const [name, text] of source) {
    if (/^(core|edits|wire)\//.test(name))
      assert.doesNotMatch(withoutComments(text), /(?<![/.])\b(document|window|fetch|navigator)[.(]/, name);
  }
});

test("nothing that plain http lacks is used without asking first", () => {
  for (const [name, text] of source) {
    assert.doesNotMatch(text, /crypto\.(subtle|randomUUID)|navigator\.(locks|storage)|showSaveFilePicker/, name);
    for (const [use] of text.matchAll(/navigator\.clipboard\.|\.getCoalescedEvents\(/g)) {
      assert.ok(/navigator\.clipboard\?|"clipboard" in navigator|isSecureContext/.test(text), `${name}: ${use}`);
    }
  }
});

test("no text goes over several lines, so that scripts can be sent without indents and comments", () => {
  for (const [name, text] of source) {
    for (const line of withoutComments(text).split("\n"))
      assert.equal((line.match(/(?<!\\)`/g) ?? []).length % 2, 0, `${name}: ${line}`);
  }
});

test("what the page loads to paint the first stroke is at most 45 KiB compressed", () => {
  const needed = new Set(["main.js", "canvas/decode.worker.js"]);
  for (const name of needed) {
    for (const [, target] of (source.get(name) ?? "").matchAll(/\bfrom "(\.[^"]+)"/g))
      needed.add(posix.normalize(posix.join(posix.dirname(name), target)));
  }
  const bytes = [...needed].reduce((sum, name) => sum + gzipSync(asSent(source.get(name) ?? "")).length, 0);
  assert.ok(needed.size > 30, "imports are found");
  assert.ok(bytes <= 45 * 1024, `${bytes} bytes`);
});
