"""A key to sign with, or a passkey: people ask for their own, and it counts once others have agreed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from opsconsole.approvals import keys, passkeys, signatures
from opsconsole.approvals.models import KeyKind
from opsconsole.approvals.passkeys import NewPasskey
from opsconsole.changes.kinds.base import Described, Granted, Kind
from opsconsole.changes.kinds.fields import PlainText
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.texts import english
from opsconsole.identity import holdings
from opsconsole.identity.changes.rights import in_office
from opsconsole.identity.changes.users import TABLE

MAX_NAME: Final = 100
MAX_KEY: Final = 1000  # characters of a public key as PEM


class SignerKeyFields(serializers.Serializer[Any]):
    """An Ed25519 key's public half."""

    name = PlainText(label=_("Name"), max_length=MAX_NAME, help_text=_("Such as: laptop"))
    public_key = serializers.CharField(
        label=_("Public key"), max_length=MAX_KEY, help_text=_("PEM, or base64 of the 32 bytes.")
    )


class PasskeyFields(serializers.Serializer[Any]):
    """What an authenticator has made, and the question that it answers."""

    name = PlainText(label=_("Name"), max_length=MAX_NAME, help_text=_("Such as: security key, phone"))
    asked = serializers.CharField(
        label=_("Question"),
        max_length=1000,
        help_text=_("What the page of the console sent along with its question to the authenticator."),
    )
    passkey = serializers.DictField(
        label=_("Passkey"), help_text=_("What the authenticator answered: PublicKeyCredential.toJSON().")
    )


class OwnKey(Kind):
    """What both kinds have in common: nobody asks for another person's, and nobody agrees to their own."""

    permission = "approvals.register_signerkey"
    subject_help = _("Oneself; may be left empty.")
    example_subject = ""
    advice = _(
        "Whoever holds the key signs approvals as this person. Call them on a number that you know: have they asked for"
        " it, and do they read the same fingerprint to you?"
    )

    @property
    def withdrawal(self) -> str:
        """Of those who take anything else away from people; the keys of others are nobody's concern besides."""
        return "changes.take_away"

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The id of whoever asks; raises Denied where another is named."""
        user = actor.user
        if user is None or subject not in ("", user.username, str(user.pk)):
            raise Denied(_("People register keys for themselves alone."), permission=self.permission)
        return str(user.pk)

    def lock(self, subject_id: str) -> None:
        """The user's row."""
        holdings.lock_user(subject_id)

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """Whose key it is, and how it is told from others; raises SignerKeyTaken for one that is registered."""
        user, shown = in_office(subject_id), self.shown(values)
        keys.require_new(fingerprint=shown["fingerprint"], credential_id=shown.get("credential_id", ""))
        after = {"owner": user.username, "name": values["name"], **shown}
        return Described(
            subject_kind=TABLE,
            name=user.username,
            title=f"{shown['kind'].capitalize()} of {user.username}: {values['name']}",
            before=dict.fromkeys(after),
            after=after,
            concerned=frozenset({str(user.pk)}),
        )

    @abstractmethod
    def shown(self, values: Mapping[str, Any]) -> dict[str, str]:
        """What approvers see of the key, its kind and its whole fingerprint among it."""


class SignerKeyChange(OwnKey):
    """An Ed25519 key, for signatures made with openssl."""

    name = "signer_key"
    label = _("Register a signer key")
    summary = _("An Ed25519 key of one's own, by whose signatures approvals count as one's own.")
    fields = SignerKeyFields
    example = {"name": "laptop", "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}  # noqa: RUF012 - read only

    def prove(self, values: Mapping[str, Any], *, actor: Actor) -> dict[str, Any]:  # noqa: ARG002 - nothing secret in it
        """In the one form it is stored in; raises SignerKeyMalformed."""
        raw = signatures.parse_public_key(values["public_key"])
        return {
            "name": values["name"],
            "public_key": signatures.stored(raw),
            "fingerprint": signatures.fingerprint(raw),
        }

    def shown(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The key, and its fingerprint."""
        return {
            "kind": english(KeyKind.ED25519.label),
            "fingerprint": values["fingerprint"],
            "public_key": values["public_key"],
        }

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Give it to them."""
        facts = {"name": values["name"], "public_key": values["public_key"]}
        keys.add_ed25519_key(user=in_office(subject_id), **facts, actor=actor, why=granted.reason, trace=granted.trace)
        return ""


class PasskeyChange(OwnKey):
    """A WebAuthn passkey, which has proved itself when it was asked for."""

    name = "passkey"
    label = _("Register a passkey")
    summary = _("A passkey of one's own, which signs approvals and stands in for the code at the login.")
    fields = PasskeyFields
    example = {  # noqa: RUF012 - read only
        "name": "phone",
        "asked": "eyJjaGFsbGVuZ2UiOiIuLi4ifQ:1uXyZa:...",
        "passkey": {
            "id": "...",
            "type": "public-key",
            "response": {"clientDataJSON": "...", "attestationObject": "..."},
        },
    }

    def prove(self, values: Mapping[str, Any], *, actor: Actor) -> dict[str, Any]:
        """The passkey that answered the question that this console asked this person; raises PasskeyRefused."""
        if actor.user is None:
            raise Denied(_("People register keys for themselves alone."), permission=self.permission)
        made = passkeys.read_registration(credential=values["passkey"], token=values["asked"], user=actor.user)
        return {"name": values["name"], **asdict(made)}

    def shown(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The passkey, for which host it was made, and its fingerprint."""
        return {
            "kind": english(KeyKind.PASSKEY.label),
            "fingerprint": values["fingerprint"],
            "rp_id": values["rp_id"],
            "credential_id": values["credential_id"],
        }

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Give it to them."""
        passkey = NewPasskey(**{field.name: values[field.name] for field in fields(NewPasskey)})
        keys.add_passkey(
            user=in_office(subject_id),
            name=values["name"],
            passkey=passkey,
            actor=actor,
            why=granted.reason,
            trace=granted.trace,
        )
        return ""
