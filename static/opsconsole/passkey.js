"use strict";

// Asking the authenticator: [data-passkey="create"] makes a passkey as its form is sent, "get" has a button and signs
// the challenge that stands in data-options. The answer goes into the hidden input as JSON, and the form is sent.

function bytesOf(text) {
  const padded = text.replace(/-/g, "+").replace(/_/g, "/").padEnd(Math.ceil(text.length / 4) * 4, "=");
  return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0));
}

function textOf(buffer) {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function optionsOf(field) {
  const options = JSON.parse(field.dataset.options);
  const named = (credential) => ({ ...credential, id: bytesOf(credential.id) });
  options.challenge = bytesOf(options.challenge);
  if (options.user) options.user.id = bytesOf(options.user.id);
  if (options.excludeCredentials) options.excludeCredentials = options.excludeCredentials.map(named);
  if (options.allowCredentials) options.allowCredentials = options.allowCredentials.map(named);
  return options;
}

function answerOf(credential) {
  const response = { clientDataJSON: textOf(credential.response.clientDataJSON) };
  if (credential.response.attestationObject) {
    response.attestationObject = textOf(credential.response.attestationObject);
    response.transports = credential.response.getTransports ? credential.response.getTransports() : [];
  } else {
    response.authenticatorData = textOf(credential.response.authenticatorData);
    response.signature = textOf(credential.response.signature);
  }
  return { id: credential.id, rawId: textOf(credential.rawId), type: credential.type, response };
}

function offerPasskey(field) {
  const button = field.querySelector("button");
  const value = field.querySelector("input");
  const note = field.querySelector("[data-passkey-says]");
  const form = field.closest("form");
  const ceremony = field.dataset.passkey;
  let asking = false;

  function say(text) {
    note.textContent = text;
    note.hidden = !text;
  }

  function why(problem) {
    if (problem.name === "SecurityError") return field.dataset.here;
    if (problem.name === "InvalidStateError") return field.dataset.known;
    return field.dataset.refused;
  }

  async function ask() {
    say("");
    // What else the form wants comes first: the authenticator is asked once.
    const missing = Array.from(form.elements).find((one) => one.willValidate && !one.checkValidity());
    if (missing) {
      missing.reportValidity();
      return;
    }
    if (!window.PublicKeyCredential) {
      say(field.dataset.none);
      return;
    }
    asking = true;
    try {
      const publicKey = optionsOf(field);
      const credential = await navigator.credentials[ceremony]({ publicKey });
      value.value = JSON.stringify(answerOf(credential));
      form.requestSubmit();
    } catch (problem) {
      say(why(problem));
    } finally {
      asking = false;
    }
  }

  if (button) button.addEventListener("click", () => asking || ask());
  if (ceremony !== "create") return;
  // Ahead of every other listener: a form without its passkey is not sent yet.
  document.addEventListener(
    "submit",
    (event) => {
      if (event.target !== form || value.value) return;
      event.preventDefault();
      event.stopPropagation();
      if (!asking) ask();
    },
    { capture: true },
  );
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("[data-passkey]").forEach(offerPasskey);
});
