// The page that asks for the token. Served as /session.js, because nothing below /static/ is answered without a token.
//
// The address that is printed at start carries a token that was made there behind a #, which browsers never send; it is
// swapped for a cookie that scripts cannot read.

const hint = /** @type {HTMLElement} */ (document.getElementById("hint"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("form"));
const field = /** @type {HTMLInputElement} */ (document.getElementById("token"));

/** @param {string} token */
async function enter(token) {
  const answer = await fetch("/api/v1/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (answer.ok) location.replace("/");
  else hint.textContent = (await answer.json()).detail;
}

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
