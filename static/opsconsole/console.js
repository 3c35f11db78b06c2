"use strict";

// A section with data-live is asked for again until what it shows has ended; then the page is loaded afresh, so that
// its buttons fit. Hidden pages do not ask.
function keepLive(section) {
  const inside = section.querySelector("[data-live-inside]");
  const note = section.querySelector("[data-live-note]");
  const pause = 2000;
  let seen = new Date();

  async function look() {
    if (document.hidden) {
      document.addEventListener("visibilitychange", look, { once: true });
      return;
    }
    try {
      const answer = await fetch(section.dataset.live, {
        credentials: "same-origin",
        redirect: "error",
        signal: AbortSignal.timeout(10000),
      });
      if (!answer.ok) throw new Error(String(answer.status));
      inside.innerHTML = await answer.text();
      seen = new Date();
      note.textContent = "";
      if (answer.headers.get("Ops-Live") === "no") {
        window.location.reload();
        return;
      }
    } catch (problem) {
      note.textContent = `${note.dataset.lost} ${seen.toISOString().slice(11, 19)} UTC`;
    }
    setTimeout(look, pause);
  }

  setTimeout(look, pause);
}

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

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-live]").forEach(keepLive);
  document.querySelectorAll("form[data-once]").forEach(sendOnce);
  const wrong = document.querySelector(".ops-field-wrong input, .ops-field-wrong textarea, .ops-field-wrong select");
  if (wrong) wrong.focus();
});
