// One alert's page: what changes is fetched again when the alert changes; a note being written stays.

import { answering, proof, replace } from "./page.js";
import { Stream } from "./stream.js";
import { positionMap } from "./map.js";

const alert = document.body.dataset.alert;
let waiting = 0;
let writing = {};

// Taken when the answer is there, not when it was asked for: somebody may have gone on writing meanwhile.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "case") return;
  const note = document.getElementById("note-text");
  writing = { text: note?.value, focused: note === document.activeElement };
});

function refresh() {
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    if (answering()) {
      refresh();
      return;
    }
    writing = {};
    await replace("#case", `/alerts/${alert}/case`);
    const fresh = document.getElementById("note-text");
    if (fresh && writing.text) fresh.value = writing.text;
    if (fresh && writing.focused) fresh.focus();
    confirm();
  }, 40);
}

async function confirm() {
  const shown = document.querySelector("#case[data-console]");
  if (!shown || !document.body.classList.contains("is-live")) return;
  shown.removeAttribute("data-console");
  const form = new FormData();
  form.append("alerts", alert);
  await fetch("/console/received", { method: "POST", body: form, headers: proof() }).catch(() => {});
}

positionMap(document.getElementById("map"));
new Stream(document.body.dataset.stream, {
  changed: (event) => { if (event.alert === alert) refresh(); },
  live: confirm,
  reload: refresh,
});
