"""Channels: another one, and where one leads or what signs for it.

A target may hold a secret of its own, so it is one of the change too: approvers see what the console shows of it, and
its whole SHA-256, since somebody who wants to deceive could make a target that begins alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from opsconsole.changes.errors import SubjectNotFound
from opsconsole.changes.kinds.base import Described, Granted, Kind, fingerprint
from opsconsole.changes.kinds.fields import PlainText
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid
from opsconsole.core.models import User
from opsconsole.notifications import access
from opsconsole.notifications.models import Channel, Delivery
from opsconsole.notifications.states import WAITING, ChannelKind
from opsconsole.notifications.wiring import (
    LONGEST_OVERLAP,
    MAX_NAME,
    MAX_SECRET,
    MAX_TARGET,
    USUAL_OVERLAP,
    ChannelEdit,
    NewChannel,
    checked_name,
    edit,
    set_up,
)

HOUR = timedelta(hours=1)
TABLE = Channel._meta.db_table
CALL = _(
    "Ask whoever runs the receiver, in a way that you know, whether the SHA-256 of the target, or the fingerprint of"
    " the secret, is theirs."
)


class ChannelFields(serializers.Serializer[Any]):
    """Where a channel leads."""

    name = PlainText(label=_("name"), max_length=MAX_NAME)
    target = serializers.CharField(
        label=_("target"),
        max_length=MAX_TARGET,
        help_text=_("A URL; of an e-mail channel, up to 20 addresses parted by commas."),
    )
    secret = PlainText(
        label=_("signing secret"),
        max_length=MAX_SECRET,
        required=False,
        help_text=_("Of a signed webhook: whsec_ and base64 of 24 to 64 bytes. The approvers see its fingerprint."),
    )


class NewChannelFields(ChannelFields):
    """A channel to be."""

    kind = serializers.ChoiceField(choices=ChannelKind.choices, label=_("kind"))


class ChannelEditFields(ChannelFields):
    """What shall be otherwise."""

    overlap_hours = serializers.IntegerField(
        label=_("hours for which the old secret signs as well"),
        min_value=0,
        max_value=int(LONGEST_OVERLAP / HOUR),
        required=False,
        help_text=_("Only with another secret; a day unless said otherwise."),
    )


class SetUpChannel(Kind):
    """A place outside that news may go to."""

    name = "channel_set_up"
    label = _("Set up a channel")
    summary = _("Another place outside that is told what happens here. Subscriptions say afterwards what it is told.")
    permission = access.MANAGE
    fields = NewChannelFields
    subject_help = ""
    example_subject = ""
    example = {  # noqa: RUF012 - read only
        "name": "ledger",
        "kind": "webhook",
        "target": "https://ledger.example.com/hooks/ops",
        "secret": "whsec_bWFrZSBvbmUgb2YgeW91ciBvd24sIG5vdCB0aGlz",
    }
    secret_fields = ("target", "secret")
    advice = CALL

    def find(self, _subject: str, values: Mapping[str, Any], *, actor: Actor) -> str:
        """Its name."""
        actor.require("notifications.view_channel")
        return checked_name(values["name"])

    def describe(self, _subject_id: str, values: Mapping[str, Any]) -> Described:
        """Everything about it; refuses a name that is taken, and a target that is never sent to."""
        new = NewChannel.checked(**values)
        after = {"name": new.name, "kind": new.kind, **_shown_target(new.kind, new.target)}
        if new.secret:
            after["secret"] = fingerprint(new.secret)
        return Described(
            subject_kind=TABLE,
            name=new.name,
            title=f"New {new.kind} channel {new.name}",
            before=dict.fromkeys(after),
            after=after,
            warnings=_warnings(new.kind, new.target),
        )

    def apply(self, _subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Make it, switched on."""
        set_up(NewChannel.checked(**values), reason=granted.reason, trace=granted.trace, actor=actor)
        return ""


class EditChannel(Kind):
    """Where a channel leads, what it is called by, and what signs for it."""

    name = "channel_edit"
    label = _("Change the channel")
    summary = _("The name, target or signing secret of a channel. What waits takes the new way.")
    permission = access.MANAGE
    fields = ChannelEditFields
    subject_help = _("The name or the id of the channel.")
    example_subject = "ledger"
    example = {"target": "https://books.example.com/hooks/ops"}  # noqa: RUF012 - read only
    edits = True
    secret_fields = ("target", "secret")
    advice = CALL

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The channel's id, if the actor may see channels."""
        channels = access.visible_channels(actor)
        try:
            row = channels.filter(pk=UUID(subject)).first()
        except ValueError:
            row = channels.filter(name=subject).first()
        if row is None:
            raise SubjectNotFound(format_lazy(_("There is no channel {name}."), name=subject), subject=subject)
        return str(row.pk)

    def lock(self, subject_id: str) -> None:
        """The channel's row."""
        Channel.objects.select_for_update(no_key=True).filter(pk=subject_id).first()

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """What differs; the secrets by their fingerprints."""
        row = _the_channel(subject_id)
        wanted = _edit_of(row, values)
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        if wanted.name is not None:
            before["name"], after["name"] = row.name, wanted.name
        if wanted.target is not None:
            before |= _shown_target(row.kind, str.__str__(row.target))
            after |= _shown_target(row.kind, wanted.target)
        if wanted.secret is not None:
            before |= {"secret": fingerprint(row.secret), "overlap_hours": None}
            after |= {"secret": fingerprint(wanted.secret), "overlap_hours": int(wanted.overlap / HOUR)}
        touched = [part for part in ("name", "target", "secret") if part in after]
        return Described(
            subject_kind=TABLE,
            name=row.name,
            title=f"Channel {row.name}: {', '.join(touched) or 'nothing'}",
            before=before,
            after=after,
            warnings=_edit_warnings(row, wanted),
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Write it; what is sent from then on goes there."""
        row = _the_channel(subject_id)
        edit(row, _edit_of(row, values), reason=granted.reason, trace=granted.trace, actor=actor)
        return ""

    def current(self, subject_id: str) -> dict[str, Any]:
        """As it is, without target and secret."""
        return {"name": _the_channel(subject_id).name, "overlap_hours": int(USUAL_OVERLAP / HOUR)}


def _the_channel(subject_id: str) -> Channel:
    row = Channel.objects.filter(pk=subject_id, removed_at=None).first()
    if row is None:
        raise SubjectNotFound(_("What should be changed is no longer there."), subject=subject_id)
    return row


def _edit_of(row: Channel, values: Mapping[str, Any]) -> ChannelEdit:
    if "overlap_hours" in values and "secret" not in values:
        raise Invalid(
            _("An overlap has sense only with another secret."),
            errors={"overlap_hours": [_("has sense only with a secret")]},
        )
    return ChannelEdit.checked(
        row,
        name=values.get("name"),
        target=values.get("target"),
        secret=values.get("secret"),
        overlap=values["overlap_hours"] * HOUR if "overlap_hours" in values else USUAL_OVERLAP,
    )


def _shown_target(kind: str, target: str) -> dict[str, str]:
    shown = Channel(kind=kind, target=target)
    return {"target": shown.shown_target, "target_sha256": shown.target_sha256}


def _warnings(kind: str, target: str) -> tuple[str, ...]:
    """What somebody who lets data out should think of."""
    if kind == ChannelKind.EMAIL:
        unknown = sorted({address.rpartition("@")[2].lower() for address in target.split(", ")} - _our_domains())
        return (f"Nobody here has an address at {', '.join(unknown)}.",) if unknown else ()
    if kind == ChannelKind.SLACK:
        host = urlsplit(target).hostname
        return (
            f"Any workspace at {host} may be behind this URL: compare the SHA-256 with whoever runs the workspace, not"
            " only with whoever asks.",
        )
    return ()


def _our_domains() -> set[str]:
    known = User.objects.filter(is_active=True).exclude(email="").values_list("email", flat=True)
    return {address.rpartition("@")[2].lower() for address in known}


def _edit_warnings(row: Channel, wanted: ChannelEdit) -> tuple[str, ...]:
    if wanted.target is None:
        return ()
    said = _warnings(row.kind, wanted.target)
    waiting = Delivery.objects.filter(channel=row, status__in=WAITING).count()
    roles = sorted(set(row.subscriptions.values_list("role", flat=True)))
    if roles:
        said += (f"It is told what {', '.join(roles)} are told, and goes on being told so at the new place.",)
    return (*said, f"{waiting} messages that wait now go to the new place.") if waiting else said
