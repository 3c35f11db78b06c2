"""What a person holds here: roles, grants, tokens, sessions, keys. Counting it, and taking it away.

Everything here joins the caller's operation, with the person's row locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from guardian.models import UserObjectPermission
from knox.models import AuthToken

from opsconsole.approvals.models import SignerKey
from opsconsole.approvals.selectors import database_clock
from opsconsole.core.errors import NotFound, RuleBroken
from opsconsole.core.models import User
from opsconsole.core.operations import assert_in_operation
from opsconsole.identity.models import SecondFactor

ADMIN: Final = "admin"


class UserNotHere(NotFound):
    """No such user."""

    code = "user_not_found"


class LastAdmin(RuleBroken):
    """Somebody must be left who can let others in."""

    code = "last_admin"


def user_by(name: str) -> User:
    """The user of this name or id; raises UserNotHere."""
    try:
        found = User.objects.filter(pk=UUID(name)).first()
    except ValueError:
        found = User.objects.filter(username=name).first()
    if found is None:
        raise UserNotHere(format_lazy(_("There is no user {name}."), name=name), user=name)
    return found


def lock_user(user_id: UUID | str) -> User:
    """The person's row, locked, behind that of the role `admin`: the last two cannot go at once. Raises UserNotHere."""
    assert_in_operation()
    Group.objects.select_for_update(no_key=True).filter(name=ADMIN).first()
    found = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if found is None:
        raise UserNotHere(_("There is no such user."), user=str(user_id))
    return found


def require_another_admin(user: User) -> None:
    """Raise LastAdmin where nobody else in office holds the role `admin`."""
    if not user.is_active or ADMIN not in user.roles:
        return
    if not User.objects.filter(is_active=True, groups__name=ADMIN).exclude(pk=user.pk).exists():
        raise LastAdmin(
            format_lazy(
                _("{user} is the last admin: nobody could let anybody in any more. Make another one first."),
                user=user.username,
            ),
            user=user.username,
        )


def end_everything(user: User, *, at: datetime | None = None) -> dict[str, int]:
    """Take away all that the person holds; how many of each there were."""
    at = at or database_clock()
    return {
        "roles": end_roles(user, user.roles),
        "rights": _end_rights(user),
        "grants": end_grants(user, None),
        "tokens": end_tokens(user, None),
        "sessions": end_sessions(user),
        "signer_keys": end_signer_keys(user, None, at=at),
        "second_factors": _deleted(SecondFactor.objects.filter(user=user)),
    }


def end_roles(user: User, roles: Iterable[str]) -> int:
    """Take these roles away; how many the person held."""
    held = list(user.groups.filter(name__in=list(roles)))
    user.groups.remove(*held)
    user.refresh_from_db()
    return len(held)


def _end_rights(user: User) -> int:
    held = list(user.user_permissions.all())
    user.user_permissions.remove(*held)
    return len(held)


def end_grants(user: User, ids: Iterable[int] | None) -> int:
    """Take these grants on single objects away, or all; how many there were."""
    held = UserObjectPermission.objects.filter(user=user)
    return _deleted(held if ids is None else held.filter(pk__in=list(ids)))


def end_tokens(user: User, keys: Iterable[str] | None) -> int:
    """End the API tokens that begin so, or all; how many there were."""
    held = AuthToken.objects.filter(user=user)
    return _deleted(held if keys is None else held.filter(token_key__in=list(keys)))


def end_sessions(user: User) -> int:
    """End the person's logins; how many there were.

    A session says in its own encoded text whose it is, so they are looked through: there are as many as people who
    logged in within the last hours.
    """
    mine = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator()
        if str(session.get_decoded().get("_auth_user_id")) == str(user.pk)
    ]
    return _deleted(Session.objects.filter(pk__in=mine))


def end_signer_keys(user: User, ids: Iterable[UUID] | None, *, at: datetime) -> int:
    """Revoke these keys and passkeys, or all; how many were in use."""
    held = SignerKey.objects.filter(user=user, revoked_at=None)
    return (held if ids is None else held.filter(pk__in=list(ids))).update(revoked_at=at)


def _deleted(rows: Any) -> int:
    count, _by_model = rows.delete()
    return int(count)
