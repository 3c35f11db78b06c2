"""Signer keys: one's own to ask for and to revoke; everybody's to those who see keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import passkeys, selectors, services, signed
from opsconsole.approvals.admin.panel import slots_as_text
from opsconsole.approvals.admin.passkeys import PasskeyField
from opsconsole.approvals.models import KeyKind, SignerKey
from opsconsole.changes.admin.requesting import open_changes
from opsconsole.changes.kinds.base import kind_named
from opsconsole.changes.selectors import open_changes_of
from opsconsole.changes.services.requests import request_change
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, ReasonForm, then
from opsconsole.core.admin.base import ConsoleAdmin, actor_of
from opsconsole.core.admin.pages import Facts, Fragment, Notice, Section
from opsconsole.core.idempotency import Answer
from opsconsole.core.models import User
from opsconsole.core.texts import Text
from opsconsole.identity.changes.keys import MAX_KEY, MAX_NAME, PasskeyChange, SignerKeyChange

KINDS: Final = (SignerKeyChange.name, PasskeyChange.name)
HOW_TO = """openssl genpkey -algorithm ed25519 -out key.pem
openssl pkey -in key.pem -pubout
"""
HOW_TO_COMPARE = """openssl pkey -in key.pem -pubout -outform DER | sha256sum
"""


class Register(Action[None]):
    """Ask for a key of one's own; what comes of it is a change, which others decide on."""

    kind: ClassVar[str]
    asks: ClassVar[tuple[str, ...]]  # the kind's fields, which the form has by the same names
    permission = "approvals.register_signerkey"
    submit = _("Ask for it")

    def sections(self, _actor: Actor, _row: None) -> Sequence[Section]:
        """Who must agree, and that they will call."""
        told = now_("%(slots)s, and never you. They call you, and you read the fingerprint to them.")
        return [Notice(told % {"slots": self._slots()}, "info", _("Must agree"))]

    def perform(self, press: Press[None]) -> Answer:
        """Ask."""
        told = now_("It is asked for, and counts once they have agreed: %(slots)s.") % {"slots": self._slots()}
        return request_change.once(
            press.key,
            then(lambda _change: told, display.row_url),
            kind=self.kind,
            subject="",
            payload={name: press.data[name] for name in self.asks},
            reason=press.data["reason"],
            actor=press.actor,
        )

    def _slots(self) -> str:
        policy = selectors.active_policy(kind_named(self.kind).action)
        return slots_as_text(policy.slots) if policy else display.NOTHING


class KeyForm(ReasonForm):
    """A name and the public half."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME, help_text=_("Such as: laptop"))
    public_key = forms.CharField(
        label=_("Public key"),
        max_length=MAX_KEY,
        help_text=_("PEM, or base64 of the 32 bytes. The private half never leaves you."),
        widget=forms.Textarea({"rows": 4, "class": "ops-mono", "spellcheck": "false"}),
    )
    field_order = ("name", "public_key", "reason")


class RegisterKey(Register):
    """Ask for a key that signs with openssl."""

    name = "register"
    kind = SignerKeyChange.name
    asks = ("name", "public_key")
    label = _("Register a key of mine")
    icon = "add"
    tone = "primary"
    form = KeyForm

    def question(self, _row: None) -> Text:
        """What it is for, and that nothing counts yet."""
        return _(
            "Register an Ed25519 public key, by which your signatures are known? It counts once the others have agreed."
        )

    def sections(self, actor: Actor, row: None) -> Sequence[Section]:
        """How to make one, and how to read its fingerprint."""
        return [
            *super().sections(actor, row),
            Fragment("console/sections/text.html", _("Making a key"), {"text": HOW_TO}),
            Fragment("console/sections/text.html", _("Its fingerprint"), {"text": HOW_TO_COMPARE}),
        ]


class PasskeyForm(ReasonForm):
    """A name, and what the authenticator made."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME, help_text=_("Such as: security key, phone"))
    asked = forms.CharField(widget=forms.HiddenInput, max_length=1000)
    passkey = PasskeyField(
        creates=True,
        label=_("Passkey"),
        help_text=_("Your browser asks for the authenticator, which must verify you by PIN, finger or face."),
    )
    field_order = ("name", "reason", "asked", "passkey")


class RegisterPasskey(Register):
    """Ask for a passkey."""

    name = "register-passkey"
    kind = PasskeyChange.name
    asks = ("name", "asked", "passkey")
    label = _("Register a passkey")
    icon = "passkey"
    form = PasskeyForm

    def question(self, _row: None) -> Text:
        """What it is for, and that nothing counts yet."""
        return _(
            "Register a passkey, with which you sign approvals on their pages? It counts once the others have agreed."
        )

    def make_form(self, actor: Actor, row: None, data: Any = None, files: Any = None) -> ActionForm:
        """With a question of its own for the authenticator each time it is shown."""
        form = super().make_form(actor, row, data, files)
        if actor.user is not None:
            options, asked = passkeys.ask_to_register(actor.user, _credentials_of(actor.user))
            form.fields["passkey"].widget.options = options
            form.initial["asked"] = asked
        return form


def _credentials_of(user: User) -> list[str]:
    """What the authenticator is not to make again: passkeys in use, and those that are asked for."""
    asked = open_changes_of(user).filter(kind=PasskeyChange.name).values_list("payload", flat=True)
    return [key.credential_id or "" for key in signed.passkeys_of(user)] + [one["credential_id"] for one in asked]


class RevokeKey(Action[SignerKey]):
    """End the use of one's own key."""

    name = "revoke"
    label = _("Revoke this key")
    icon = "key_off"
    tone = "danger"
    permission = "approvals.register_signerkey"

    def offered(self, actor: Actor, row: SignerKey) -> bool:
        """One's own, in use."""
        return row.revoked_at is None and actor.user is not None and row.user_id == actor.user.pk

    def question(self, row: SignerKey) -> Text:
        """What stops counting."""
        return now_("Revoke the key “%(name)s”? Approvals signed with it that were not used yet stop counting.") % {
            "name": row.name
        }

    def perform(self, press: Press[SignerKey]) -> Answer:
        """Revoke it."""
        return services.revoke_signer_key.once(
            press.key,
            then(lambda _key: now_("The key is revoked."), display.row_url),
            key_id=press.row.pk,
            actor=press.actor,
        )


@admin.register(SignerKey)
class SignerKeyAdmin(ConsoleAdmin[SignerKey]):
    """Keys, newest first."""

    list_display = ("name", "kind_shown", "owner", "print_shown", "in_use", "registered")
    ordering = ("-created_at", "-id")
    list_select_related = ("user",)
    row_actions = (RevokeKey(),)

    def visible(self, actor: Actor) -> QuerySet[SignerKey]:
        """Everybody's for those who may see keys; one's own for those who may have any."""
        if actor.may("approvals.view_signerkey"):
            return SignerKey.objects.select_related("user")
        actor.require("approvals.register_signerkey")
        return selectors.keys_of(actor).select_related("user")

    def list_actions(self) -> Sequence[Action[None]]:
        """Ask for one."""
        return [RegisterKey(), RegisterPasskey()]

    def head(self, request: HttpRequest) -> Sequence[Section]:
        """One's own that others have not agreed to yet."""
        user = actor_of(request).user
        return open_changes(user, kinds=KINDS) if user is not None else []

    @admin.display(description=_("kind"))
    def kind_shown(self, key: SignerKey) -> str:
        """Key file or passkey."""
        return str(KeyKind(key.kind).label)

    @admin.display(description=_("owner"))
    def owner(self, key: SignerKey) -> str:
        """Whose it is."""
        return key.user.username

    @admin.display(description=_("fingerprint"))
    def print_shown(self, key: SignerKey) -> SafeString | str:
        """By which it is told from others."""
        return display.short(key.fingerprint)

    @admin.display(description=_("state"))
    def in_use(self, key: SignerKey) -> SafeString:
        """In use or revoked."""
        return display.label(_("in use"), "good") if key.revoked_at is None else display.label(_("revoked"), "bad")

    @admin.display(description=_("registered"))
    def registered(self, key: SignerKey) -> SafeString | str:
        """When."""
        return display.moment(key.created_at)

    def badge(self, row: SignerKey) -> SafeString:
        """In use or revoked."""
        return self.in_use(row)

    def sections(self, _request: HttpRequest, row: SignerKey) -> Sequence[Section]:
        """The public half, and its print."""
        return [
            Facts(
                _("Key"),
                [
                    (_("owner"), row.user.username),
                    (_("kind"), self.kind_shown(row)),
                    (_("public key"), display.code(row.public_key)),
                    (_("fingerprint (SHA-256)"), display.code(row.fingerprint)),
                    *self._of_passkey(row),
                    (_("registered"), display.moment(row.created_at)),
                    (_("revoked"), display.moment(row.revoked_at)),
                ],
            )
        ]

    def _of_passkey(self, key: SignerKey) -> list[tuple[Text, Any]]:
        if key.kind != KeyKind.PASSKEY:
            return []
        return [
            (_("made for"), display.code(key.rp_id)),
            (_("credential"), display.code(key.credential_id or "")),
            (_("uses counted by the authenticator"), key.sign_count),
        ]
