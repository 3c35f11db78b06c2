"""What somebody may: roles, and grants on single objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.apps import apps
from django.contrib.auth.models import Group
from django.db.models import Model
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from guardian.shortcuts import assign_perm, get_user_perms
from rest_framework import serializers

from opsconsole.changes.errors import ChangeRefused, SubjectNotFound
from opsconsole.changes.kinds.base import Described, Granted, Kind
from opsconsole.changes.kinds.fields import RolesField
from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid
from opsconsole.core.models import User
from opsconsole.core.roles import ROLES
from opsconsole.identity import holdings
from opsconsole.identity.changes.users import TABLE, person_named
from opsconsole.journal.record import record

# On which single objects a right can be granted.
GRANTABLE: Final = ("treasury.bank", "treasury.account", "plans.plan", "loyalty.program")


class RolesFields(serializers.Serializer[Any]):
    """Roles to give, and to take in the same step."""

    add = RolesField(label=_("roles to give"), required=False)
    remove = RolesField(label=_("roles to take"), required=False)


class RolesChange(Kind):
    """Which roles somebody has."""

    name = "roles"
    label = _("Give roles")
    summary = _("Roles of a user. Only taking some away needs no change: that is done at once.")
    permission = "changes.request_people_change"
    fields = RolesFields
    subject_help = _("The user's name or id.")
    example_subject = "dev"
    example = {"add": ["ops"]}  # noqa: RUF012 - read only
    edits = True

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The user's id."""
        return person_named(subject, actor)

    def lock(self, subject_id: str) -> None:
        """The user's row."""
        holdings.lock_user(subject_id)

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """All roles before and after."""
        user = in_office(subject_id)
        held, add, remove = set(user.roles), set(values.get("add", [])), set(values.get("remove", []))
        if both := sorted(add & remove):
            raise Invalid(
                _("A role is given or taken."),
                errors={"remove": [format_lazy(_("{roles} is also given"), roles=", ".join(both))]},
            )
        new = (held | add) - remove
        if holdings.ADMIN in held - new:
            holdings.require_another_admin(user)
        gained = sorted({p for role in new for p in ROLES.get(role, ())} - {p for r in held for p in ROLES.get(r, ())})
        return Described(
            subject_kind=TABLE,
            name=user.username,
            title=f"Roles of {user.username}: {', '.join(_signed(held, new)) or 'nothing'}",
            before={"roles": ", ".join(sorted(held)), "new_rights": ""} if new != held else {},
            after={"roles": ", ".join(sorted(new)), "new_rights": ", ".join(gained)} if new != held else {},
            warnings=(f"{user.username} could fill two places of a policy, though only one at a time.",)
            if len([role for role in new if "approvals.decide_request" in ROLES.get(role, ())]) > 1
            else (),
            concerned=frozenset({str(user.pk)}),
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Write it."""
        user = in_office(subject_id)
        before = sorted(user.roles)
        user.groups.add(*Group.objects.filter(name__in=values.get("add", [])))
        user.groups.remove(*Group.objects.filter(name__in=values.get("remove", [])))
        user.refresh_from_db()
        after = {"roles": sorted(user.roles), **granted.trace}
        record(actor, "user.roles_changed", user, before={"roles": before}, after=after, reason=granted.reason)
        outbox.emit("user.roles_changed", kind=TABLE, id=user.pk, data={"username": user.username, **after})
        return ""

    def current(self, _subject_id: str) -> dict[str, Any]:
        """Nothing is chosen at first."""
        return {"add": [], "remove": []}


class GrantFields(serializers.Serializer[Any]):
    """A right on one object: a permission by name, or all that a role has on such objects."""

    object = serializers.ChoiceField(choices=GRANTABLE, label=_("kind of object"))
    object_id = serializers.UUIDField(label=_("id of the object"))
    permission = serializers.CharField(
        label=_("permission"), max_length=100, required=False, allow_blank=True, help_text=_("Such as view_account.")
    )
    role = serializers.ChoiceField(
        choices=sorted(ROLES), label=_("or as the role"), required=False, allow_blank=True, default=""
    )


class GrantChange(Kind):
    """A right on one bank, account, plan or loyalty program alone."""

    name = "grant"
    label = _("Grant a right on one object")
    summary = _("A permission, or what a role may, on one bank, account, plan or loyalty program.")
    permission = "changes.request_people_change"
    fields = GrantFields
    subject_help = _("The user's name or id.")
    example_subject = "dev"
    example = {  # noqa: RUF012 - read only
        "object": "treasury.account",
        "object_id": "0198c0de-0000-7000-8000-00000000000a",
        "permission": "view_account",
    }

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The user's id."""
        return person_named(subject, actor)

    def lock(self, subject_id: str) -> None:
        """The user's row."""
        holdings.lock_user(subject_id)

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """The rights on this object before and after."""
        user, row = in_office(subject_id), _object(values)
        held = sorted(get_user_perms(user, row))
        new = sorted({*held, *_permissions(values)})
        facts = {"object": f"{row._meta.verbose_name} {row}"}
        return Described(
            subject_kind=TABLE,
            name=user.username,
            title=f"{', '.join(sorted(set(new) - set(held))) or 'nothing'} on {facts['object']} for {user.username}",
            before={**facts, "rights": ", ".join(held)} if new != held else {},
            after={**facts, "rights": ", ".join(new)} if new != held else {},
            concerned=frozenset({str(user.pk)}),
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Write it."""
        user, row = in_office(subject_id), _object(values)
        names = _permissions(values)
        for name in names:
            assign_perm(f"{row._meta.app_label}.{name}", user, row)
        after = {"object": row._meta.db_table, "object_id": row.pk, "permissions": names, **granted.trace}
        record(actor, "user.granted", user, after=after, reason=granted.reason)
        data = {"username": user.username, "object": str(row), "permissions": names}
        outbox.emit("user.granted", kind=TABLE, id=user.pk, data=data)
        return ""

    def current(self, _subject_id: str) -> dict[str, Any]:
        """Nothing is chosen at first."""
        return {}


def in_office(subject_id: str) -> User:
    """The user; raises ChangeRefused for one who has left."""
    user = holdings.user_by(subject_id)
    if not user.is_active:
        raise ChangeRefused(
            format_lazy(_("{user} has left; they can be given nothing."), user=user.username), user=user.username
        )
    return user


def _signed(held: set[str], new: set[str]) -> list[str]:
    return [*(f"+{role}" for role in sorted(new - held)), *(f"-{role}" for role in sorted(held - new))]


def _model(values: Mapping[str, Any]) -> type[Model]:
    return apps.get_model(values["object"])


def _object(values: Mapping[str, Any]) -> Model:
    model = _model(values)
    rows = model._default_manager.filter(pk=UUID(str(values["object_id"])))
    row: Model | None = rows.defer("secret").first() if hasattr(model, "secret") else rows.first()
    if row is None:
        raise SubjectNotFound(
            format_lazy(_("There is no such {kind}."), kind=model._meta.verbose_name), object_id=values["object_id"]
        )
    return row


def _permissions(values: Mapping[str, Any]) -> list[str]:
    """The names of the permissions asked for, all of them of the object's own model."""
    model = _model(values)
    own = {f"{action}_{model._meta.model_name}" for action in model._meta.default_permissions}
    own |= {name for name, _label in model._meta.permissions}
    named, role = values.get("permission", "").rpartition(".")[2], values.get("role", "")
    if bool(named) == bool(role):
        raise Invalid(_("Say a permission or a role."), errors={"permission": [_("one of permission and role")]})
    if named and named not in own:
        raise Invalid(
            _("There is no such permission on it."),
            errors={"permission": [format_lazy(_("one of {names}"), names=", ".join(sorted(own)))]},
        )
    wanted = [named] if named else [p.partition(".")[2] for p in ROLES[role] if p.startswith(model._meta.app_label)]
    found = sorted(own & set(wanted))
    if not found:
        raise ChangeRefused(
            format_lazy(_("{role} may nothing on such an object."), role=role),
            errors={"role": [_("gives no right here")]},
        )
    # What may not be seen does not exist for a person: any right on an object takes the sight of it.
    return sorted({*found, f"view_{model._meta.model_name}"})
