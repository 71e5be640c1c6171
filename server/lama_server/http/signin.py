"""The page that asks for the token: all that somebody without it gets to see.

The address that is printed at start carries a token that was made there behind a #, which browsers never send; the
script swaps it for a cookie that scripts cannot read.
"""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>lama-server</title>
<script src="/session.js" defer></script>
<main><h1>lama-server</h1>
<p id="hint" role="status">This server asks for its token. Enter it, or open the address that the server printed.</p>
<form id="form"><label>Token <input id="token" type="password" autocomplete="off" required></label>
<button>Open</button></form></main></html>
"""

SCRIPT = """"use strict";
const hint = document.getElementById("hint");
async function enter(token) {
  const answer = await fetch("/api/v1/session", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token }),
  });
  if (answer.ok) { location.replace("/"); return; }
  hint.textContent = (await answer.json()).detail;
}
document.getElementById("form").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(document.getElementById("token").value);
});
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) { history.replaceState(null, "", "/"); enter(given); }
"""
