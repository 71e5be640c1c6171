/** Words. English is the key, so that code and markup stay readable; a language is a table from English to its own. */

/** @type {(words: string) => string} */
let translate = (words) => words;

/**
 * @param {string} words in English, with {name} where a value goes @param {Readonly<Record<string, string | number>>} [values]
 */
export const t = (words, values = {}) =>
  translate(words).replaceAll(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));

/** A count with the right form of its noun. @param {number} n @param {string} one @param {string} many both with {n} */
export const count = (n, one, many) => t(n === 1 ? one : many, { n });

/**
 * From here on everything is said in the language that was chosen, or else the browser's, where there are words for it.
 * @param {string} chosen "system", or a code such as "de"
 */
export async function speak(chosen) {
  const asked = new URLSearchParams(location.search).get("lang") ?? (chosen === "system" ? navigator.language : chosen);
  const language = asked.split("-")[0];
  if (language === "en" || !LANGUAGES.includes(language)) return;
  const { translator, translatePage } = await import("./words/page.js");
  translate = await translator(language);
  document.documentElement.lang = language;
  translatePage(document.body, translate);
}

/** Beside English; "pseudo" shows which words escape translation and which do not fit when they are longer. */
const LANGUAGES = ["de", "pseudo"];
