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
from webauthn.helpers import bytes_to_base64url

from opsconsole.approvals import passkeys, signed
from opsconsole.approvals.models import SignerKey
from opsconsole.core.models import User
from opsconsole.core.texts import Text

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
