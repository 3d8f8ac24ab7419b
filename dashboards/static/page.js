// What every page with scripts does: count times up and down, say what happened, open and close the dialogue.

const body = document.body;
const dialog = document.getElementById("dialog");
const said = document.getElementById("said");
const ahead = Date.now() - Number(body.dataset.now); // this machine's clock may be wrong; the server's counts
let hiding = 0;

export function now() {
  return Date.now() - ahead;
}

export function say(text, bad = false) {
  said.textContent = text;
  said.classList.toggle("bad", bad);
  clearTimeout(hiding);
  hiding = setTimeout(() => { said.textContent = ""; }, 8000);
}

export function proof() {
  return JSON.parse(body.getAttribute("hx-headers") || "{}");
}

// Put what `address` answers in the place of `selector`; false where it could not be had. The place is the request's
// source too: htmx lets one request per source run, and rows must not wait for each other.
export async function replace(selector, address) {
  try {
    await htmx.ajax("GET", address, { source: selector, target: selector, swap: "outerHTML" });
    return true;
  } catch {
    return false;
  }
}

// Whether a button is being pressed, or an answer to this alert (to any, without one) is on its way. Until it is back its
// form must stay where it is: htmx says what came of it through the form, and one that was replaced is heard by nobody.
export function answering(alert = "") {
  return document.querySelector(`form.htmx-request[action*="${alert}"], form[action*="${alert}"] :active`) !== null;
}

// What was asked for before the button was pressed comes too late: it is asked for again.
body.addEventListener("htmx:beforeSwap", (event) => {
  const { requestConfig, target } = event.detail;
  if (requestConfig.verb === "get" && !target.closest("dialog") && [...document.querySelectorAll("form")].some(
    (form) => target.contains(form) && form.matches(".htmx-request, :has(:active)"))) {
    event.detail.shouldSwap = false;
    setTimeout(() => replace(`#${target.id}`, requestConfig.path), 200);
  }
});

function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor(seconds / 3600) % 24;
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  if (days) return `${days} ${body.dataset.days} ${two(hours)}:${rest}`;
  return hours ? `${hours}:${rest}` : rest;
}

export function count() {
  for (const element of document.querySelectorAll("time.counting")) {
    const { since, until } = element.dataset;
    element.textContent = duration(since ? now() - Number(since) : Number(until) - now());
    element.classList.toggle("due", Boolean(until) && Number(until) < now());
  }
}

count();
setInterval(count, 1000);

const wall = document.querySelector("time.wall");
if (wall) {
  const [hours, minutes, seconds] = wall.textContent.split(":").map(Number);
  const start = ((hours * 60 + minutes) * 60 + seconds) * 1000 - Number(body.dataset.now);
  setInterval(() => {
    wall.textContent = new Date(now() + start).toISOString().slice(11, 19);
  }, 1000);
}

// An answer's sentence comes in a header, so that a lost race is told too.
body.addEventListener("said", (event) => {
  if (dialog.open) dialog.close();
  say(event.detail.text);
});
body.addEventListener("htmx:responseError", () => say(body.dataset.failed, true));
body.addEventListener("htmx:sendError", () => say(body.dataset.offline, true));
body.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "dialog-body" && !dialog.open) dialog.showModal();
});
body.addEventListener("htmx:afterSettle", count);
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
});
dialog.addEventListener("close", () => { document.getElementById("dialog-body").replaceChildren(); });
