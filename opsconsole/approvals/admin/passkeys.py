"""A passkey as a field of a form: asking the authenticator, and a hidden value with its answer.

The page's script is static/opsconsole/passkey.js; nothing of it stands in the page, which the content security policy
would refuse.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from webauthn.helpers import bytes_to_base64url

from opsconsole.approvals import passkeys, services, signed
from opsconsole.approvals.models import SignerKey
from opsconsole.approvals.serializers import MAX_NAME
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, then
from opsconsole.core.admin.display import Text
from opsconsole.core.idempotency import Answer
from opsconsole.core.models import User

LONGEST = 20_000  # characters of an authenticator's answer


class PasskeyWidget(forms.Widget):
    """The hidden value, a line for what went wrong, and a button.

    A passkey is made when the form is sent, which its own button does; so only one that signs has a button here.
    """

    def __init__(self, label: Text, *, creates: bool = False) -> None:
        super().__init__()
        self.label, self.creates = label, creates
        self.options: dict[str, Any] = {}

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """The button; what was answered before is not shown again, since an answer is good for one time."""
        del value, renderer
        return render_to_string(
            "console/widgets/passkey.html",
            {
                "name": name,
                "id": (attrs or {}).get("id", f"id_{name}"),
                "label": self.label,
                "ceremony": "create" if self.creates else "get",
                "options": json.dumps(self.options),
            },
        )


class PasskeyField(forms.CharField):
    """An authenticator's answer, as a JSON object."""

    widget: PasskeyWidget

    def __init__(self, button: Text = "", *, creates: bool = False, **kwargs: Any) -> None:
        super().__init__(max_length=LONGEST, widget=PasskeyWidget(button, creates=creates), **kwargs)

    def clean(self, value: Any) -> Any:
        """The object; None for an empty value where that may be."""
        text = super().clean(value)
        if not text:
            return None
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise forms.ValidationError(now_("The passkey's answer cannot be read.")) from problem
        if not isinstance(answer, dict) or not isinstance(answer.get("response"), dict):
            raise forms.ValidationError(now_("The passkey's answer cannot be read."))
        return answer


def sign_with(user: User, text: str) -> dict[str, Any] | None:
    """What `navigator.credentials.get` takes to sign this text; None for somebody without a passkey."""
    return ask_for(signed.passkeys_of(user), passkeys.challenge_of(text))


def ask_for(keys: Sequence[SignerKey], challenge: bytes) -> dict[str, Any] | None:
    """What `navigator.credentials.get` takes to have one of these keys answer a challenge; None without a key."""
    if not keys:
        return None
    return {
        "challenge": bytes_to_base64url(challenge),
        "rpId": keys[0].rp_id,
        "allowCredentials": [{"type": "public-key", "id": key.credential_id} for key in keys],
        "userVerification": "required",
        "timeout": 120_000,
    }


class RegisterPasskeyForm(ActionForm):
    """A name, and what the authenticator made."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME, help_text=_("Such as: security key, phone"))
    asked = forms.CharField(widget=forms.HiddenInput, max_length=1000)
    passkey = PasskeyField(
        creates=True,
        label=_("Passkey"),
        help_text=_("Your browser asks for the authenticator, which must verify you by PIN, finger or face."),
    )


class RegisterPasskey(Action[None]):
    """Register a passkey of one's own."""

    name = "register-passkey"
    label = _("Register a passkey")
    icon = "passkey"
    permission = "approvals.register_signerkey"
    form = RegisterPasskeyForm

    def question(self, _row: None) -> Text:
        """What it is for."""
        return _("Register a passkey, with which you can sign approvals on their pages from now on?")

    def make_form(self, actor: Actor, row: None, data: Any = None, files: Any = None) -> ActionForm:
        """With a question of its own for the authenticator each time it is shown."""
        form = super().make_form(actor, row, data, files)
        if actor.user is not None:
            known = [key.credential_id or "" for key in signed.passkeys_of(actor.user)]
            options, asked = passkeys.ask_to_register(actor.user, known)
            form.fields["passkey"].widget.options = options
            form.initial["asked"] = asked
        return form

    def perform(self, press: Press[None]) -> Answer:
        """Check what the authenticator made, and register it."""
        user = press.actor.user
        assert user is not None
        passkey = passkeys.read_registration(credential=press.data["passkey"], token=press.data["asked"], user=user)
        return services.register_passkey.once(
            press.key,
            then(lambda _key: now_("The passkey is registered."), display.row_url),
            name=press.data["name"],
            passkey=passkey,
            actor=press.actor,
        )
