/** Another language than English: its words, and the page's markup in them. */

/**
 * @typedef {Readonly<Record<string, string>>} Table
 * @type {Readonly<Record<string, () => Promise<{WORDS: Table, TEXTS: Table, PARAMETERS: Table, SENTENCES: Table, DETAILS: Table}>>>}
 */
const TABLES = { de: async () => ({ ...(await import("./de.js")), ...(await import("./de-server.js")) }) };

/** @param {string} code @returns {Promise<import("../../core/words.js").Language>} what has no translation stays English */
export async function languageOf(code) {
  if (code === "pseudo") return { code: "en", translate: pseudo, sentences: {}, details: {} };
  const { WORDS, TEXTS, PARAMETERS, SENTENCES, DETAILS } = await TABLES[code]();
  const words = { ...WORDS, ...PARAMETERS, ...TEXTS };
  return { code, translate: (english) => words[english] ?? english, sentences: SENTENCES, details: DETAILS };
}

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

export const ATTRIBUTES = ["aria-label", "aria-roledescription", "title", "placeholder"];

/** Translates the words of the page's markup, once. @param {HTMLElement} root @param {(words: string) => string} translate */
export function translatePage(root, translate) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const words = node.textContent?.trim();
    if (words && !node.parentElement?.closest("script, [translate=no]")) node.textContent = translate(words);
  }
  for (const name of ATTRIBUTES) {
    for (const element of root.querySelectorAll(`[${name}]`))
      element.setAttribute(name, translate(element.getAttribute(name) ?? ""));
  }
}
