/** In which language the page speaks. */

import { speakIn } from "../core/words.js";

export { count, number, t, w } from "../core/words.js";

/** Beside English; "pseudo" shows which words escape translation and which do not fit when they are longer. */
const LANGUAGES = ["de", "pseudo"];

/**
 * From here on everything is said in the language that was chosen, or else the browser's, where there are words for it.
 * @param {string} chosen "system", or a code such as "de"
 */
export async function speak(chosen) {
  const asked = new URLSearchParams(location.search).get("lang") ?? (chosen === "system" ? navigator.language : chosen);
  const code = asked.split("-")[0];
  if (!LANGUAGES.includes(code)) return;
  const { languageOf, translatePage } = await import("./words/page.js");
  const language = await languageOf(code);
  speakIn(language);
  document.documentElement.lang = language.code;
  translatePage(document.body, language.translate);
}
