// The queue stays true by itself: each event refreshes one row and puts it where it belongs.

import { answering, proof, replace } from "./page.js";
import { Stream } from "./stream.js";

const FULL_REFRESH_MS = 60000;
const MOST_CLOSED = 30;
const title = document.title;
const pending = new Set();
let keep = ""; // the alert whose button was pressed: the keyboard's focus stays with it

function place(row) {
  const list = document.getElementById(row.dataset.list);
  const before = (other) => {
    if (row.dataset.list === "closed") return Number(row.dataset.at) > Number(other.dataset.at);
    const [rank, at] = [Number(row.dataset.rank), Number(row.dataset.at)];
    const [rank2, at2] = [Number(other.dataset.rank), Number(other.dataset.at)];
    return rank < rank2 || (rank === rank2 && at < at2);
  };
  const following = [...list.children].find((other) => other !== row && before(other));
  if (row.parentElement !== list || row.nextElementSibling !== (following ?? null)) {
    list.insertBefore(row, following ?? null);
  }
  if (keep === row.id) {
    keep = "";
    row.querySelector("a.name")?.focus();
  }
}

function tell() {
  const rows = (list) => document.querySelectorAll(`#${list} > li[data-list]`).length;
  for (const list of ["waiting", "answered"]) document.getElementById(`${list}-count`).textContent = rows(list);
  const waiting = rows("waiting");
  document.title = waiting ? `(${waiting}) ${title}` : title;
  const closed = document.getElementById("closed");
  while (closed.children.length > MOST_CLOSED) closed.lastElementChild.remove();
}

// The notification to the console has arrived when the row is on this page: say so, once.
async function confirm() {
  const rows = [...document.querySelectorAll("[data-console]")];
  if (!rows.length || !document.body.classList.contains("is-live")) return;
  const form = new FormData();
  for (const row of rows) {
    form.append("alerts", row.id.replace("alert-", ""));
    row.removeAttribute("data-console");
  }
  await fetch("/console/received", { method: "POST", body: form, headers: proof() }).catch(() => {});
}

async function refresh(alert) {
  if (pending.has(alert)) return;
  pending.add(alert); // several events of one transaction: one request
  do await new Promise((done) => { setTimeout(done, 40); }); while (answering(alert));
  pending.delete(alert);
  let row = document.getElementById(`alert-${alert}`);
  if (!row) {
    row = document.createElement("li");
    row.id = `alert-${alert}`;
    row.hidden = true;
    document.getElementById("waiting").append(row);
  }
  const fetched = await replace(`#alert-${alert}`, `/queue/${alert}`);
  const empty = document.querySelector(`#alert-${alert}[hidden]`);
  empty?.remove();
  if (!fetched || empty) setTimeout(reload, 1000); // an alert that could not be shown is asked for again at once
  settle();
}

function reload() {
  if (answering()) setTimeout(reload, 200);
  else replace("#lists", "/queue");
}

function settle() {
  for (const row of document.querySelectorAll("ol.queue > li[data-list]")) {
    if (row.parentElement.id !== row.dataset.list) place(row);
  }
  tell();
  confirm();
}

document.body.addEventListener("htmx:beforeRequest", (event) => {
  const row = event.detail.elt.closest?.("li.alert");
  if (row && event.detail.requestConfig.verb === "post") keep = row.id;
});
document.body.addEventListener("htmx:afterSwap", (event) => {
  const id = event.detail.target.id;
  const row = id.startsWith("alert-") ? document.getElementById(id) : null;
  if (row?.dataset.list) place(row);
});
document.body.addEventListener("htmx:afterSettle", settle);

tell();
new Stream(document.body.dataset.stream, { changed: (event) => refresh(event.alert), live: confirm, reload });
setInterval(reload, FULL_REFRESH_MS); // whatever else was missed
