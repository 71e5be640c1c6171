/** What the page says: a line in the dock, notes about what went wrong, and words for people who do not see them. */

import { find, findButton, setText } from "./dom.js";

const INFO_MS = 7000;

/** @typedef {ReturnType<typeof createMessages>} Messages */

export function createMessages() {
  const said = find("said");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let hiding;
  let standing = false;

  return {
    /** Read out politely; not shown. @param {string} words */
    say(words) {
      setText(said, words);
    },

    /**
     * Said in the dock and read out: for a while, or until something else is said where there is something to press.
     * @param {string} title @param {string} [line] @param {{label: string, act: () => void}} [act]
     */
    tell(title, line = "", act) {
      const words = line ? `${title}${/[.!?…]$/.test(title) ? "" : "."} ${line}` : title;
      setText(said, words);
      setText(find("told-text"), words);
      find("told").hidden = false;
      const button = findButton("told-act");
      button.hidden = !act;
      setText(button, act?.label ?? "");
      button.onclick = () => {
        find("told").hidden = true;
        act?.act();
      };
      standing = false;
      queueMicrotask(() => (standing = true)); // the change that it is about is told to watchers first
      clearTimeout(hiding);
      if (!act) hiding = setTimeout(() => (find("told").hidden = true), INFO_MS);
    },

    /** A fill succeeded: what was wrong or told before it is over. */
    settled() {
      find("notes").replaceChildren();
      find("told").hidden = true;
    },

    /** The document is another: what was offered was about the one before. */
    withdraw() {
      if (standing && !findButton("told-act").hidden) find("told").hidden = true;
    },

    /** What went wrong, as a note. Says less where the server is gone before the words were loaded. @param {unknown} error @param {(() => void) | null} retry */
    complain(error, retry) {
      import("./panels/notes.js").then(
        ({ showError }) => showError(error, retry),
        () => this.tell(String(error)),
      );
    },
  };
}
