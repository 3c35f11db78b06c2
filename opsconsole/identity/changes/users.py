"""A person to be, a person's name, address and external identity, and a person's return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib.auth.models import Group
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from opsconsole.changes.errors import ChangeRefused
from opsconsole.changes.kinds.base import Described, Granted, Kind
from opsconsole.changes.kinds.fields import PlainText, RolesField
from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.identity import holdings
from opsconsole.journal.record import record

TABLE = User._meta.db_table
MAX_SUB = 200
PROFILE: Final = ("first_name", "last_name", "email", "sub")


class ProfileFields(serializers.Serializer[Any]):
    """Who somebody is."""

    first_name = PlainText(label=_("first name"), max_length=150, allow_blank=True, required=False)
    last_name = PlainText(label=_("last name"), max_length=150, allow_blank=True, required=False)
    email = serializers.EmailField(label=_("e-mail"), max_length=254, allow_blank=True, required=False)
    sub = PlainText(
        label=_("external identity"),
        max_length=MAX_SUB,
        allow_blank=True,
        required=False,
        help_text=_("The `sub` of Molam ID. Whoever it names acts as this person."),
    )


class NewPersonFields(ProfileFields):
    """A person to be."""

    username = PlainText(label=_("user name"), max_length=150, validators=[UnicodeUsernameValidator()])
    roles = RolesField(label=_("roles"), required=False)


class NoFields(serializers.Serializer[Any]):
    """Nothing to say but why."""


class NewPerson(Kind):
    """Somebody who joins."""

    name = "user"
    label = _("Add a user")
    summary = _("Another person, with their roles. They choose their password by an invitation.")
    permission = "changes.request_people_change"
    fields = NewPersonFields
    subject_help = ""
    example_subject = ""
    example = {  # noqa: RUF012 - read only
        "username": "amina",
        "first_name": "Amina",
        "last_name": "Diop",
        "email": "amina@example.com",
        "roles": ["ops"],
    }

    def find(self, _subject: str, values: Mapping[str, Any], *, actor: Actor) -> str:
        """Their name."""
        actor.require("core.view_user")
        return str(values["username"])

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """Everything about them; refuses a name, an address or an identity that somebody has."""
        if User.objects.filter(username=subject_id).exists():
            raise ChangeRefused(
                format_lazy(_("There is a user {name} already."), name=subject_id), errors={"username": [_("is taken")]}
            )
        require_own(values, of=None)
        after = {name: values.get(name) or "" for name in ("username", "first_name", "last_name", "email", "sub")}
        after["roles"] = ", ".join(values.get("roles", []))
        return Described(
            subject_kind=TABLE,
            name=subject_id,
            title=f"New user {subject_id}" + (f": {after['roles']}" if after["roles"] else ""),
            before=dict.fromkeys(after),
            after=after,
        )

    def apply(self, _subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Make them, without a password, and have them invited."""
        facts = {name: values.get(name, "") for name in ("first_name", "last_name", "email")}
        user = User.objects.create_user(values["username"], is_staff=True, sub=values.get("sub") or None, **facts)
        user.refresh_from_db()
        roles = values.get("roles", [])
        user.groups.set(Group.objects.filter(name__in=roles))
        after = {"username": user.username, "roles": roles, **facts, "sub": user.sub, **granted.trace}
        record(actor, "user.created", user, after=after, reason=granted.reason)
        outbox.emit("user.created", kind=TABLE, id=user.pk, data={"username": user.username, "roles": roles})
        return ""


class Profile(Kind):
    """Who somebody is: name, address, external identity."""

    name = "profile"
    label = _("Change name or identity")
    summary = _("Name, e-mail address or linked external identity of a user.")
    permission = "changes.request_people_change"
    fields = ProfileFields
    subject_help = _("The user's name or id.")
    example_subject = "ops"
    example = {"email": "ops@example.com", "sub": "molam-id-4711"}  # noqa: RUF012 - read only
    edits = True

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The user's id."""
        return person_named(subject, actor)

    def lock(self, subject_id: str) -> None:
        """The user's row."""
        holdings.lock_user(subject_id)

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """What changes."""
        user = holdings.user_by(subject_id)
        require_own(values, of=user)
        changed = [name for name in values if (getattr(user, name) or "") != values[name]]
        warnings = []
        if "sub" in changed and values["sub"]:
            warnings.append("Whoever Molam ID knows by this external identity acts as this person from then on.")
        return Described(
            subject_kind=TABLE,
            name=user.username,
            title=f"{', '.join(changed).replace('_', ' ') or 'nothing'} of {user.username}",
            before={name: getattr(user, name) or "" for name in changed},
            after={name: values[name] for name in changed},
            warnings=tuple(warnings),
            concerned=frozenset({str(user.pk)}),
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Write it."""
        user = holdings.user_by(subject_id)
        before = {name: getattr(user, name) for name in values if (getattr(user, name) or "") != values[name]}
        for name in before:
            setattr(user, name, (values[name] or None) if name == "sub" else values[name])
        user.save(update_fields=list(before))
        after = {**{name: values[name] for name in before}, **granted.trace}
        record(actor, "user.changed", user, before=before, after=after, reason=granted.reason)
        return ""

    def current(self, subject_id: str) -> dict[str, Any]:
        """As it is."""
        user = holdings.user_by(subject_id)
        return {name: getattr(user, name) or "" for name in PROFILE}


class Reactivation(Kind):
    """Somebody comes back: without roles, tokens or keys, which are given anew."""

    name = "reactivation"
    label = _("Bring back")
    summary = _("Let a user who left log in again. Roles are given by changes of their own.")
    permission = "changes.request_people_change"
    fields = NoFields
    subject_help = _("The user's name or id.")
    example_subject = "amina"
    example = {}  # noqa: RUF012 - read only
    edits = True

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The user's id."""
        return person_named(subject, actor)

    def lock(self, subject_id: str) -> None:
        """The user's row."""
        holdings.lock_user(subject_id)

    def describe(self, subject_id: str, _values: Mapping[str, Any]) -> Described:
        """From having left to being in office."""
        user = holdings.user_by(subject_id)
        if user.is_active:
            raise ChangeRefused(
                format_lazy(_("{user} is in office."), user=user.username), errors={"subject": [_("has not left")]}
            )
        return Described(
            subject_kind=TABLE,
            name=user.username,
            title=f"{user.username} comes back",
            before={"in_office": False},
            after={"in_office": True},
            concerned=frozenset({str(user.pk)}),
        )

    def apply(self, subject_id: str, _values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Let them in again, with nothing in hand."""
        user = holdings.user_by(subject_id)
        ended = holdings.end_everything(user)  # what was pasted to somebody who had left
        user.is_active = True
        user.set_unusable_password()
        user.save(update_fields=["is_active", "password"])
        after = {"is_active": True, "ended": ended, **granted.trace}
        record(actor, "user.reactivated", user, before={"is_active": False}, after=after, reason=granted.reason)
        outbox.emit("user.reactivated", kind=TABLE, id=user.pk, data={"username": user.username})
        return ""

    def current(self, _subject_id: str) -> dict[str, Any]:
        """Nothing to fill in."""
        return {}


def person_named(subject: str, actor: Actor) -> str:
    """The id of the user of this name or id, for an actor who may see users."""
    actor.require("core.view_user")
    return str(holdings.user_by(subject).pk)


def require_own(values: Mapping[str, Any], *, of: User | None) -> None:
    """Refuse an address or an external identity that another user has: one human is one user."""
    others = User.objects.exclude(pk=of.pk) if of else User.objects.all()
    for name, lookup in (("email", "email__iexact"), ("sub", "sub")):
        taken = others.filter(**{lookup: values[name]}).first() if values.get(name) else None
        if taken is not None:
            raise ChangeRefused(
                format_lazy(_("{user} has that already; one human is one user."), user=taken.username),
                errors={name: [_("taken")]},
            )
