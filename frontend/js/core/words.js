/** Words. English is the key, so that code and markup stay readable; a language is a table from English to its own. */

/**
 * @typedef {object} Language
 * @property {string} code
 * @property {(words: string) => string} translate
 * @property {Readonly<Record<string, string>>} sentences  what the server says, by its error's code
 * @property {Readonly<Record<string, string>>} details  why, by the error's code, or by code and limit
 */

/** @type {Language} */
let spoken = { code: "en", translate: (words) => words, sentences: {}, details: {} };

/** @param {Language} language of everything that is said from here on */
export function speakIn(language) {
  spoken = language;
}

/**
 * @param {string} words in English, with {name} where a value goes @param {Readonly<Record<string, string | number>>} [values]
 */
export const t = (words, values = {}) =>
  spoken.translate(words).replaceAll(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));

/** A count with the right form of its noun. @param {number} n @param {string} one @param {string} many both with {n} */
export const count = (n, one, many) => t(n === 1 ? one : many, { n });

/** Marks words of a table, which are translated where they are shown. @param {string} words */
export const w = (words) => words;

/** What an error of the server means; nothing in English, which it speaks itself. @param {string} code */
export const sentence = (code) => spoken.sentences[code];

/** Why, of an error: by its code, or by code and limit. @param {string} key */
export const detail = (key) => spoken.details[key];

/** @param {number} value @param {number} [digits] after the point */
export const number = (value, digits = 0) =>
  value.toLocaleString(spoken.code, { minimumFractionDigits: digits, maximumFractionDigits: digits });
