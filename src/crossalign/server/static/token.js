// The token, where the service asks for one: its form stands in the place of the question.

import { get, setToken } from "./api.js";
import { $ } from "./draw.js";

let given = false;

export function askForToken() {
  swap(true);
  $("token-note").hidden = !given;
  if (given) $("token").setAttribute("aria-invalid", "true");
  $("token-note").textContent = "The service does not know this token. Look at it again.";
  $("token").focus();
  $("token").select();
}

function swap(asks) {
  $("token-part").hidden = !asks;
  for (const id of ["ask", "settings", "api"]) $(id).hidden = asks;
}

// Try every token by starting anew, which gives whether it was right; then go on.
export function onToken(start, onMistake, goOn) {
  $("token-part").addEventListener("submit", async (event) => {
    event.preventDefault();
    setToken($("token").value);
    given = true;
    if (!(await start())) return;
    swap(false);
    $("token").value = "";
    $("token").removeAttribute("aria-invalid");
    goOn();
  });
  // A link cannot carry the token, so what it leads to is fetched.
  $("api").addEventListener("click", async (event) => {
    if (!given) return;
    event.preventDefault();
    try {
      const text = JSON.stringify(await get("openapi.json"), null, 2);
      open(URL.createObjectURL(new Blob([text], { type: "application/json" })), "_blank");
    } catch (error) {
      onMistake(error);
    }
  });
}
