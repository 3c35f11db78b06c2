"use strict";

// --- what is said without a page of its own ---

function say(text) {
  let place = document.getElementById("ops-toasts");
  if (!place) {
    place = document.createElement("div");
    place.id = "ops-toasts";
    place.setAttribute("role", "status");
    document.body.append(place);
  }
  const toast = document.createElement("p");
  toast.textContent = text;
  place.append(toast);
  setTimeout(() => toast.remove(), 4000);
}

// --- copying ---

async function copy(button) {
  const beside = "copyBeside" in button.dataset;
  const text = beside ? button.previousElementSibling.textContent : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https a browser has no clipboard for scripts; the old way takes what is selected.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "ops-unseen";
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus();
  }
  say(button.dataset.said);
}

// --- pages that look again by themselves ---

// A page that its reader is leaving is not loaded afresh: that would undo the step away.
let left = -Infinity;
window.addEventListener("beforeunload", () => {
  left = performance.now(); // a download says so too, and the page stays
});

// Load the page afresh; false when it does, true when its reader is just leaving it.
function loadAfresh() {
  if (performance.now() - left < 10000) return true;
  window.location.reload();
  return false;
}

// Ask for `url` every `pause` ms while the page is in front; `take(answer, body)` returns false to stop.
function lookAgain(url, pause, take, lost) {
  let seen = new Date();

  async function look() {
    if (document.hidden) {
      document.addEventListener("visibilitychange", look, { once: true });
      return;
    }
    try {
      const answer = await fetch(url, {
        credentials: "same-origin",
        redirect: "error",
        signal: AbortSignal.timeout(10000),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      const body = await answer.text();
      seen = new Date();
      lost("");
      if (take(answer, body) === false) return;
    } catch {
      lost(`${seen.toISOString().slice(11, 19)} UTC`);
    }
    setTimeout(look, pause);
  }

  setTimeout(look, pause);
}

// A section with data-live is asked for again until what it shows has ended; then the page is loaded afresh, so that
// its buttons fit.
function keepLive(section) {
  const inside = section.querySelector("[data-live-inside]");
  const note = section.querySelector("[data-live-note]");
  const spoken = section.querySelector("[data-live-said]");
  let told = "";
  let shown = "";
  lookAgain(
    section.dataset.live,
    2000,
    (answer, body) => {
      if (body !== shown) inside.innerHTML = body; // what has not changed keeps its focus
      shown = body;
      const bar = inside.querySelector("[role=progressbar]");
      // Every tenth of the way is said aloud; more often would drown everything else.
      const now = bar ? String(Math.floor(Number(bar.getAttribute("aria-valuenow")) / 10) * 10) : "";
      if (spoken && now !== told) {
        told = now;
        spoken.textContent = `${now} %`;
      }
      return answer.headers.get("Ops-Live") === "no" ? loadAfresh() : true;
    },
    (since) => {
      const text = since ? `${note.dataset.lost} ${since}` : "";
      if (note.textContent !== text) note.textContent = text;
      section.classList.toggle("ops-lost", Boolean(since));
    },
  );
}

// Something with data-watch has a token of what it shows; when another one comes, the page is loaded afresh.
function watch(place) {
  lookAgain(
    place.dataset.watch,
    5000,
    (_answer, body) => {
      return body.trim() === place.dataset.token ? true : loadAfresh();
    },
    (since) => {
      const text = since ? `${place.dataset.lost} ${since}` : "";
      if (place.textContent !== text) place.textContent = text;
    },
  );
}

// --- forms ---

// A form with data-once is sent once; coming back to it by the browser's history makes it usable again.
function sendOnce(form) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.querySelectorAll("button[type=submit]").forEach((button) => button.setAttribute("aria-disabled", "true"));
  });
  window.addEventListener("pageshow", () => {
    delete form.dataset.sent;
    form.querySelectorAll("button[type=submit]").forEach((button) => button.removeAttribute("aria-disabled"));
  });
}

// Escape leaves a form in which nothing has been typed; Ctrl+Enter sends it from wherever the cursor stands.
function keysOf(form) {
  form.addEventListener("input", () => {
    form.dataset.touched = "yes";
  });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    const leave = form.querySelector("[data-leave]");
    if (event.key === "Escape" && leave && !form.dataset.touched && !document.querySelector("dialog[open]")) {
      leave.click();
    }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && form.contains(document.activeElement)) {
      form.requestSubmit();
    }
  });
}

// A menu closes on Escape, and when the focus or a click goes elsewhere.
function menu(details) {
  const close = () => details.removeAttribute("open");
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !details.open) return;
    event.preventDefault();
    close();
    details.querySelector("summary").focus();
  });
  document.addEventListener("click", (event) => {
    if (!details.contains(event.target)) close();
  });
  details.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !details.contains(event.relatedTarget)) close();
  });
}

function firstField() {
  const wrong = document.querySelector(".ops-field-wrong :is(input, textarea, select)");
  if (wrong) return wrong;
  // On a phone the keyboard would cover what is to be read first.
  if (!window.matchMedia("(hover: hover)").matches) return null;
  return document.querySelector("form.ops-confirm .ops-field :is(input, textarea, select)");
}

// --- lists on a phone: what stands beside a value begins as the head of its column does ---

function capitalise(cell) {
  const text = cell.dataset.label;
  cell.dataset.label = text.charAt(0).toLocaleUpperCase(document.documentElement.lang) + text.slice(1);
}

// --- runbooks: an answer comes into its place; what else was asked on the page stays ---

// The page is asked for as without a script. Of what comes, the part that was asked takes its place, and so does all
// that follows from what was typed: checks and buttons. Other answers stay, their fields take over what was typed.
async function askInPlace(event) {
  const form = event.target.closest("form[data-in-place]");
  if (!form) return;
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  const asked = form.closest("[data-part]").id;
  const url = new URL(form.action);
  url.search = new URLSearchParams(new FormData(form));
  try {
    const answer = await fetch(url, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelectorAll("[data-part]").forEach((part) => {
      const fresh = page.getElementById(part.id);
      if (fresh && (part.id === asked || part.dataset.part !== "diagnostic")) part.replaceWith(fresh);
    });
    url.searchParams.forEach((value, name) => {
      if (name !== "run") fillIn(name, value);
    });
    window.history.replaceState(null, "", url);
    readTicks();
    document.querySelector(`#${CSS.escape(asked)} [data-answer]`).focus({ preventScroll: true });
  } catch {
    form.submit(); // the browser's own way, and its own words for what is wrong
  }
}

// A value in every form of the page; one that has no field for it keeps it unseen.
function fillIn(name, value) {
  document.querySelectorAll("form[data-in-place], #about form").forEach((form) => {
    const field = form.elements.namedItem(name);
    if (field) {
      field.value = value;
    } else if ("inPlace" in form.dataset && value) {
      const kept = document.createElement("input");
      Object.assign(kept, { type: "hidden", name, value });
      form.append(kept);
    }
  });
}

// What was ticked stays ticked in this window, for this page and what it is about.
function tickKey() {
  const said = new URLSearchParams(window.location.search);
  const about = [...document.querySelectorAll("#about [name]")].map((field) => said.get(field.name) || "");
  return ["ticks", window.location.pathname, ...about].join(" ");
}

function readTicks() {
  const ticked = JSON.parse(window.sessionStorage.getItem(tickKey()) || "[]");
  document.querySelectorAll("[data-tick]").forEach((box, place) => {
    box.checked = ticked.includes(place);
  });
}

function keepTick(event) {
  if (!("tick" in event.target.dataset)) return;
  const ticked = [...document.querySelectorAll("[data-tick]")].flatMap((box, place) => (box.checked ? [place] : []));
  window.sessionStorage.setItem(tickKey(), JSON.stringify(ticked));
}

// --- charts: the figures of an axis in the reader's language, short, and with what they count ---

function readable(canvas) {
  const chart = window.Chart && window.Chart.getChart(canvas);
  if (!chart || !chart.options.scales.y) return;
  const language = document.documentElement.lang;
  const figures = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 2 });
  const unit = canvas.dataset.unit ? `\u00a0${canvas.dataset.unit}` : "";
  chart.options.locale = language;
  chart.options.scales.y.ticks.callback = (value) => figures.format(value) + unit;
  if (chart.data.datasets.every((one) => one.data.every(Number.isInteger))) chart.options.scales.y.ticks.precision = 0;
  chart.update();
}

// unfold draws when everything has been loaded; its script comes after this one.
window.addEventListener("load", () => {
  setTimeout(() => document.querySelectorAll("canvas.chart").forEach(readable));
});

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("#result_list td[data-label], #result_list th[data-label]").forEach(capitalise);
  document.querySelectorAll("[data-live]").forEach(keepLive);
  document.querySelectorAll("[data-watch]").forEach(watch);
  document.querySelectorAll("form[data-once]").forEach(sendOnce);
  document.querySelectorAll("form.ops-confirm").forEach(keysOf);
  document.querySelectorAll("[data-menu]").forEach(menu);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-beside]");
    if (button) copy(button);
  });
  document.addEventListener("submit", askInPlace);
  document.addEventListener("change", keepTick);
  readTicks();
  const field = firstField();
  if (field) field.focus({ preventScroll: !field.closest(".ops-field-wrong") });
});
