/** Toasts, and what is read out to people who do not see them. */

import { explain } from "../core/protocol.js";
import { find, icon, make, setText } from "./dom.js";
import { t } from "./i18n.js";

const INFO_MS = 7000;
const MOST_TOASTS = 4;

/** @typedef {ReturnType<typeof createMessages>} Messages */

export function createMessages() {
  const list = find("toasts");
  const said = find("said");
  const alerted = find("alerted");

  /** @param {HTMLElement} toast */
  const put = (toast) => {
    list.append(toast);
    while (list.children.length > MOST_TOASTS) list.firstElementChild?.remove();
  };

  /** @param {string} title @param {string} kind @param {readonly {label: string, act: () => void}[]} acts @param {readonly string[]} lines */
  const build = (title, kind, acts, lines) => {
    const toast = make("div", { class: `toast ${kind}` }, make("b", { text: title }));
    for (const line of lines)
      if (line) toast.append(make("p", { class: line === lines[0] ? "" : "muted", text: line }));
    const buttons = acts.map(({ label, act }) =>
      make("button", {
        type: "button",
        class: "link",
        text: label,
        onclick: () => {
          toast.remove();
          act();
        },
      }),
    );
    if (buttons.length > 0) toast.append(make("div", { class: "acts" }, ...buttons));
    toast.append(
      make(
        "button",
        { type: "button", class: "quiet square", "aria-label": t("Dismiss"), onclick: () => toast.remove() },
        icon("close"),
      ),
    );
    put(toast);
    return toast;
  };

  return {
    /** Read out politely; not shown. @param {string} words */
    say(words) {
      setText(said, t(words));
    },

    /** Shown for a while, and read out. @param {string} title @param {string} [line] @param {{label: string, act: () => void}} [act] */
    tell(title, line = "", act) {
      setText(said, `${title} ${line}`);
      const toast = build(title, "", act ? [act] : [], [line]);
      setTimeout(() => toast.remove(), INFO_MS);
    },

    /** Stays until it is dismissed. @param {unknown} error @param {(() => void) | null} retry */
    complain(error, retry) {
      const { title, cause, hint, code, retryable, report } = explain(error);
      if (code === "job.cancelled") return;
      if (code === "page.error") console.error(error);
      for (const old of list.querySelectorAll(`[data-code="${CSS.escape(code)}"]`)) old.remove();
      const acts = retry && (retryable || code === "engine.failed") ? [{ label: t("Try again"), act: retry }] : [];
      const toast = build(t(title), "bad", acts, [cause, t(hint), report ? t("Report id: {id}", { id: report }) : ""]);
      toast.dataset.code = code;
      setText(alerted, [t(title), cause, t(hint)].filter(Boolean).join(" "));
    },
  };
}
