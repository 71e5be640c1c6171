/** What went wrong, why, and the way on: one note, which stays until it is dealt with, replaced, or a fill succeeds. */

import { explain } from "../../wire/explain.js";
import { find, icon, make, setText } from "../dom.js";
import { t } from "../i18n.js";

/** @param {unknown} error @param {(() => void) | null} retry */
export function showError(error, retry) {
  const { title, cause, hint, code, retryable, report } = explain(error);
  if (code === "job.cancelled") return;
  if (code === "page.error") console.error(error);
  const list = find("notes");
  const lines = [cause, hint, report ? t("Report id: {id}", { id: report }) : ""].filter(Boolean);
  const note = make("div", { class: "note" }, make("b", { text: title }));
  note.append(...lines.map((text, i) => make("p", { class: i === 0 ? "" : "muted", text })));
  if (retry && (retryable || code === "engine.failed")) note.append(make("div", { class: "acts" }, again(note, retry)));
  const dismiss = () => note.remove();
  const close = { type: "button", class: "button square close", "aria-label": t("Dismiss"), onclick: dismiss };
  note.append(make("button", close, icon("close")));
  list.replaceChildren(note);
  setText(find("alerted"), [title, cause, hint].filter(Boolean).join(" "));
}

/** @param {HTMLElement} note @param {() => void} retry */
function again(note, retry) {
  const onclick = () => {
    note.remove();
    retry();
  };
  return make("button", { type: "button", class: "button edge", text: t("Try again"), onclick });
}
