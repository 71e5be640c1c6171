// The page that asks for the token. Served as /session.js, because nothing below /static/ is answered without a token.
//
// The address that is printed at start carries a token that was made there behind a #, which browsers never send; it is
// swapped for a cookie that scripts cannot read.

/** By language: what the page says, by its English, and what the server answers, by its code. @type {Readonly<Record<string, Readonly<Record<string, string>>>>} */
const WORDS = {
  de: {
    "This server asks for its token. Enter it, or open the address that the server printed.":
      "Dieser Server verlangt sein Token. Es eingeben, oder die Adresse öffnen, die der Server ausgegeben hat.",
    Token: "Token",
    Open: "Öffnen",
    "The server does not answer. Is it still running?": "Der Server antwortet nicht. Läuft er noch?",
    "auth.invalid": "Das Token stimmt nicht. Es steht in der Adresse, die der Server beim Start ausgibt.",
    "auth.rate_limited": "Zu viele falsche Token. Eine Minute warten und es noch einmal versuchen.",
  },
};

const hint = /** @type {HTMLElement} */ (document.getElementById("hint"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("form"));
const field = /** @type {HTMLInputElement} */ (document.getElementById("token"));

const prefs = JSON.parse(localStorage.getItem("lama-server.prefs") ?? "{}");
const chosen = prefs.language ?? "system";
const language = (chosen === "system" ? navigator.language : chosen).split("-")[0];
if (prefs.theme && prefs.theme !== "system") document.documentElement.dataset.theme = prefs.theme;
const words = WORDS[language] ?? {};

/** @param {string} token */
async function enter(token) {
  const answer = await fetch("/api/v1/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  }).catch(() => null);
  if (answer?.ok) return location.replace("/");
  const { code = "", detail = "The server does not answer. Is it still running?" } = (await answer?.json()) ?? {};
  hint.textContent = words[code] ?? words[detail] ?? detail;
  hint.dataset.wrong = "";
  field.setAttribute("aria-invalid", String(code === "auth.invalid"));
  field.select();
}

for (const part of document.querySelectorAll("[data-words]")) {
  const english = part.textContent ?? "";
  part.textContent = words[english] ?? english;
}
if (language in WORDS) document.documentElement.lang = language;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  enter(field.value);
});
/** @type {HTMLButtonElement} */ (document.getElementById("open")).disabled = false; // the form does nothing by itself

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  history.replaceState(null, "", "/");
  enter(given);
}
