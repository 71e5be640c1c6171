import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { COMMANDS } from "../../frontend/js/core/commands.js";
import { count, number, sentence, speakIn, t } from "../../frontend/js/core/words.js";
import { GESTURES } from "../../frontend/js/ui/panels/key-tables.js";
import { WORDS } from "../../frontend/js/ui/words/de.js";
import { DETAILS, SENTENCES } from "../../frontend/js/ui/words/de-server.js";
import { languageOf } from "../../frontend/js/ui/words/page.js";
import { explain, HINTS, whyNot } from "../../frontend/js/wire/explain.js";
import { ApiError } from "../../frontend/js/wire/protocol.js";

const root = fileURLToPath(new URL("../../frontend/", import.meta.url));

/** Words of the markup, by text and by what is read out. @param {string} html */
function markupWords(html) {
  const body = html.slice(html.indexOf("<body")).replaceAll(/<noscript>.*?<\/noscript>/g, "");
  const texts = body.split(/<[^>]*>/).map((text) => text.trim());
  const attributes = [...body.matchAll(/(?:aria-label|aria-roledescription|title|placeholder)="([^"]+)"/g)].map(
    (match) => match[1],
  );
  return [...texts, ...attributes].filter((words) => /[a-z]/i.test(words) && words !== "lama-server");
}

/** Everything that the page can say, in English. */
function everything() {
  const scripts = readdirSync(`${root}js`, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".js"),
  );
  /** @type {string[]} */
  const found = [];
  for (const name of scripts) {
    const source = readFileSync(`${root}js/${name}`, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
    const text = '"((?:[^"\\\\]|\\\\.)*)"';
    for (const [, words] of source.matchAll(new RegExp(`\\b[tw]\\(\\s*${text}`, "g"))) found.push(words);
    for (const [, one, many] of source.matchAll(new RegExp(`\\bcount\\(\\s*[^,]+,\\s*${text},\\s*${text}`, "g")))
      found.push(one, many);
    for (const [, one, other] of source.matchAll(new RegExp(`\\bt\\([^"()]*\\? ${text} : ${text}\\)`, "g")))
      found.push(one, other);
  }
  found.push(...COMMANDS.flatMap(({ label, group }) => [label, group]), ...GESTURES.flat(), ...Object.values(HINTS));
  found.push(...markupWords(readFileSync(`${root}index.html`, "utf8")));
  return new Set(found.map((words) => words.replaceAll('\\"', '"')));
}

/** @param {string} words */
const places = (words) => [...words.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();

test("German has every word of the page, and none that it does not say", () => {
  const said = everything();
  assert.ok(said.size > 200);
  assert.deepEqual(
    [...said].filter((words) => !(words in WORDS)),
    [],
  );
  assert.deepEqual(
    Object.keys(WORDS).filter((words) => !said.has(words)),
    [],
  );
});

test("the page that asks for the token says every word of its markup in German", () => {
  const source = readFileSync(`${root}js/sign-in.js`, "utf8");
  const markup = markupWords(readFileSync(`${root}sign-in.html`, "utf8"));
  assert.equal(markup.length, 3);
  for (const words of markup) assert.match(source, new RegExp(`^ +("${words}"|${words}):`, "m"), words);
});

test("values have their places in the translation too", () => {
  for (const [english, german] of Object.entries(WORDS)) assert.deepEqual(places(german), places(english), english);
});

test("what the server says has a sentence by its code, and a reason only where it has that", () => {
  for (const key of Object.keys(DETAILS)) assert.ok(key.split("/")[0] in SENTENCES, key);
  for (const [code, german] of Object.entries(SENTENCES)) assert.match(german, /^[A-ZÄÖÜ].*[^.]$/, code);
});

test("a language says words, counts, numbers and sentences in its own way", async () => {
  assert.equal(t("Undo"), "Undo");
  assert.equal(sentence("mask.empty"), undefined);
  speakIn(await languageOf("de"));
  assert.equal(t("Undo"), "Rückgängig");
  assert.equal(count(2, "1 fill", "{n} fills"), "2 Füllungen");
  assert.equal(number(1234.5, 1), "1.234,5");
  assert.ok(sentence("mask.empty"));
  speakIn(await languageOf("pseudo"));
  assert.match(t("{n} px", { n: 3 }), /^⟦3 px·+⟧$/);
});

test("why something went wrong is said without the server's English, with its figures", async () => {
  const tooLarge = {
    code: "image.too_many_pixels",
    detail: "12000x10000 is 120.5 megapixels; the limit is 100.",
    limit: { name: "max_megapixels", value: 100, actual: 120.5 },
  };
  speakIn(await languageOf("de"));
  assert.equal(explain(new ApiError(tooLarge)).cause, "Es hat 120,5 Megapixel; die Grenze ist 100.");
  const missing = { code: "model.unavailable", detail: "X needs y. Install it: pip install 'lama-server[z]'" };
  assert.match(whyNot(missing), /^Auf dem Server .*: pip install 'lama-server\[z\]'$/);
  assert.equal(whyNot({ code: "engine.failed", detail: "It gave nothing." }), "Das Modell ist gescheitert.");
  for (const [key, words] of Object.entries(DETAILS).filter(([, words]) => !words.includes("{"))) {
    const [code, name] = key.split("/");
    const limit = name ? { name, value: 1, actual: 2 } : null;
    assert.equal(explain(new ApiError({ code, detail: "This is English.", limit })).cause, words, key);
  }
});

test("nothing is said where a figure is missing, and English where there are no words", async () => {
  speakIn(await languageOf("de"));
  for (const code of ["image.too_small", "model.unavailable"])
    assert.equal(explain(new ApiError({ code, detail: "This is English." })).cause, "", code);
  const newer = explain(
    new ApiError({ code: "of.a_newer_server", title: "Something new", detail: "This is English." }),
  );
  assert.deepEqual([newer.title, newer.cause], ["Something new", "This is English."]);
});
