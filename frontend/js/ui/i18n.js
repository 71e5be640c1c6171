/**
 * Words. English is the key, so that code and markup stay readable; a language is a table from English to its own.
 * `?lang=pseudo` shows which words escape translation and which do not fit when they are longer.
 */

/** @type {Readonly<Record<string, Readonly<Record<string, string>>>>} */
const LANGUAGES = {};

const asked =
  new URLSearchParams(globalThis.location?.search ?? "").get("lang") ?? globalThis.navigator?.language ?? "en";
const table = LANGUAGES[asked.split("-")[0]] ?? {};
const translate = asked === "pseudo" ? pseudo : (/** @type {string} */ words) => table[words] ?? words;

/**
 * @param {string} words in English, with {name} where a value goes @param {Readonly<Record<string, string | number>>} [values]
 */
export const t = (words, values = {}) =>
  translate(words).replaceAll(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));

/** A count with the right form of its noun. @param {number} n @param {string} one @param {string} many both with {n} */
export const count = (n, one, many) => t(n === 1 ? one : many, { n });

/** @param {string} words */
export function pseudo(words) {
  const accents = { a: "á", e: "é", i: "í", o: "ó", u: "ú", c: "ç", n: "ñ" };
  const parts = words.split(/(\{\w+\})/);
  const odd = parts.map((part) =>
    part.startsWith("{")
      ? part
      : part.replaceAll(/[aeioucn]/g, (letter) => /** @type {Record<string, string>} */ (accents)[letter]),
  );
  return `⟦${odd.join("")}${"·".repeat(Math.ceil(words.length / 4))}⟧`;
}

const ATTRIBUTES = ["aria-label", "aria-roledescription", "title"];

/** Translates the words of the page's markup, once, at the start. @param {HTMLElement} root */
export function translatePage(root) {
  if (translate("Undo") === "Undo") return;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const words = node.textContent?.trim();
    if (words && node.parentElement?.tagName !== "SCRIPT") node.textContent = translate(words);
  }
  for (const name of ATTRIBUTES) {
    for (const element of root.querySelectorAll(`[${name}]`))
      element.setAttribute(name, translate(element.getAttribute(name) ?? ""));
  }
}
