"""Signer keys: one's own to register and revoke; everybody's to those who see keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import selectors, services
from opsconsole.approvals.admin.passkeys import RegisterPasskey
from opsconsole.approvals.models import KeyKind, SignerKey
from opsconsole.approvals.serializers import MAX_NAME
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Action, ActionForm, Press, then
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.display import Text
from opsconsole.core.admin.pages import Facts, Fragment, Section
from opsconsole.core.idempotency import Answer

HOW_TO = """openssl genpkey -algorithm ed25519 -out key.pem
openssl pkey -in key.pem -pubout
"""


class RegisterForm(ActionForm):
    """A name and the public half."""

    name = forms.CharField(label=_("Name"), max_length=MAX_NAME, help_text=_("Such as: laptop"))
    public_key = forms.CharField(
        label=_("Public key"),
        max_length=1000,
        help_text=_("PEM, or base64 of the 32 bytes. The private half never leaves you."),
        widget=forms.Textarea({"rows": 4, "class": "ops-mono", "spellcheck": "false"}),
    )


class Register(Action[None]):
    """Register a key of one's own."""

    name = "register"
    label = _("Register a key of mine")
    icon = "add"
    tone = "primary"
    permission = "approvals.register_signerkey"
    form = RegisterForm

    def question(self, _row: None) -> Text:
        """What it is for."""
        return _("Register an Ed25519 public key, by which your signatures are known from now on?")

    def sections(self, _actor: Actor, _row: None) -> Sequence[Section]:
        """How to make one."""
        return [Fragment("console/sections/text.html", _("Making a key"), {"text": HOW_TO})]

    def perform(self, press: Press[None]) -> Answer:
        """Register it."""
        return services.register_signer_key.once(
            press.key,
            then(lambda _key: now_("The key is registered."), display.row_url),
            name=press.data["name"],
            public_key=press.data["public_key"],
            actor=press.actor,
        )


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
        """Register one."""
        return [Register(), RegisterPasskey()]

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
