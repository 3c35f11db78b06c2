"""What the installation and the server do to users: their first tokens, demo users, logins. Each is journalled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import timezone

from opsconsole.core import outbox, roles
from opsconsole.core.actors import Actor, ActorKind
from opsconsole.core.errors import Denied, NotFound, RuleBroken
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.core.tokens import create_token
from opsconsole.journal.record import Subject, record


class UserNotFound(NotFound):
    """No user of that name."""

    code = "user_not_found"


class UserInactive(RuleBroken):
    """The user has left; they can be given nothing."""

    code = "user_inactive"


class TokensAreAskedFor(Denied):
    """There are admins; nobody prints tokens for others any more."""

    code = "tokens_are_asked_for"


@dataclass(frozen=True, slots=True)
class NewUser:
    """A person to be: their name, their password, the roles they get."""

    username: str
    password: str
    roles: tuple[str, ...]


@operation
def issue_token(*, username: str, expiry: timedelta | None, actor: Actor) -> str:
    """Make an API token for a user and return it, the only time it can be seen; raises UserNotFound, UserInactive.

    Only for the installation, and at the server; in production there only until there are two admins. From then on
    people make their own, and a longer one is asked for as a change. Raises TokensAreAskedFor, Denied.
    """
    actor.require("core.issue_token")
    if settings.PRODUCTION and actor.kind is not ActorKind.SYSTEM and _has_admins():
        raise TokensAreAskedFor("People make their own tokens, and ask for longer ones as the change `token`.")
    user = User.objects.filter(username=username).first()
    if user is None:
        raise UserNotFound(f"There is no user {username}.", username=username)
    if not user.is_active:
        raise UserInactive(f"{username} is not active.", username=username)
    token = create_token(user, expiry=expiry)
    record(actor, "token.issued", user, after={"username": username, "token": f"{token[:8]}..."})
    facts = {"username": username, "by": actor.name}
    outbox.emit("token.issued", kind=User._meta.db_table, id=user.pk, data=facts)
    return token


@operation
def ensure_users(*, users: list[NewUser], actor: Actor) -> list[str]:
    """Make those of these users that do not exist yet, with their roles; returns the names of the new ones.

    For demo data and first installations: only a part of the system may do this.
    """
    actor.require("core.create_users")
    known = set(User.objects.filter(username__in=[new.username for new in users]).values_list("username", flat=True))
    made = []
    for new in users:
        if new.username in known:
            continue
        user = User.objects.create_user(new.username, password=new.password, is_staff=True)
        user.groups.set(Group.objects.filter(name__in=new.roles))
        record(actor, "user.created", user, after={"username": new.username, "roles": list(new.roles)})
        made.append(new.username)
    return made


@operation
def reset_password(*, username: str, password: str, actor: Actor) -> None:
    """Give a user another password; only a part of the system may. Raises UserNotFound."""
    actor.require("core.create_users")
    user = User.objects.select_for_update(no_key=True).filter(username=username).first()
    if user is None:
        raise UserNotFound(f"There is no user {username}.", username=username)
    user.set_password(password)
    user.save(update_fields=["password"])
    record(actor, "user.password_reset", user, after={"username": username})


@operation
def note_login(*, actor: Actor) -> None:
    """Note that the actor logged in to the admin."""
    user = actor.user
    if user is None:
        raise UserNotFound("Only a user logs in.")
    user.last_login = timezone.now()
    user.save(update_fields=["last_login"])
    record(actor, "user.logged_in", user)


@operation
def synchronise_roles(*, actor: Actor) -> dict[str, dict[str, list[str]]]:
    """Make the roles follow their table; returns and journals what changed."""
    actor.require("core.synchronise_roles")
    changed = roles.synchronise()
    for role, change in changed.items():
        record(actor, "role.changed", Subject("auth_group", role), after=change)
    return changed


def _has_admins() -> bool:
    return User.objects.filter(is_active=True, groups__name="admin").count() >= 2  # noqa: PLR2004 - four eyes
