"""Leaving the company, and taking single things away: at once, by one person, journalled.

In the worst hour one must be able to; giving is what takes several (see `changes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import leaving
from opsconsole.approvals.selectors import database_clock
from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.identity import holdings
from opsconsole.journal.record import record

PERMISSION = "changes.take_away"
MAX_REASON = 2000


@dataclass(frozen=True, slots=True)
class Offboarding:
    """Who left, and what ended with it: how many of each. `again` says that everything had ended before."""

    user: User
    ended: dict[str, int]
    again: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """What to take away: names of roles, ids of grants and signer keys, beginnings of tokens, all logins."""

    roles: Sequence[str] = ()
    grants: Sequence[int] = ()
    tokens: Sequence[str] = ()
    signer_keys: Sequence[UUID] = ()
    sessions: bool = False

    def __bool__(self) -> bool:
        return bool(self.roles or self.grants or self.tokens or self.signer_keys or self.sessions)


@dataclass(frozen=True, slots=True)
class TakenAway:
    """From whom, and how many of each."""

    user: User
    ended: dict[str, int] = field(default_factory=dict)


@operation
def offboard_user(*, user_id: UUID, reason: str, actor: Actor) -> Offboarding:
    """End all that a person may here, in one step: login, sessions, tokens, keys, roles, grants, approvals, requests.

    Approvals that they gave and that were not used count no more; what they asked for is withdrawn. Again, it ends
    what they were given since, and says nothing where that is nothing. Raises LastAdmin, UserNotHere, Denied.
    """
    actor.require(PERMISSION)
    said = _said(reason)
    leaver = holdings.user_by(str(user_id))
    # Subjects and requests before the person, as whoever applies a change about them takes these locks.
    given_up = {
        "approvals": leaving.end_approvals(leaver, reason=said, actor=actor),
        "requests": leaving.withdraw_requests(leaver, reason=said, actor=actor),
    }
    user = holdings.lock_user(user_id)
    holdings.require_another_admin(user)
    was_active = user.is_active
    roles = sorted(user.roles)
    if was_active or user.has_usable_password():
        user.is_active = False
        user.set_unusable_password()  # a session is bound to the password's hash: none comes back with the person
        user.save(update_fields=["is_active", "password"])
    ended = {**holdings.end_everything(user), **given_up}
    if not was_active and not any(ended.values()):
        return Offboarding(user, ended, again=True)
    record(
        actor,
        "user.offboarded",
        user,
        before={"is_active": was_active, "roles": roles},
        after={"is_active": False, "roles": [], "ended": ended},
        reason=said,
    )
    _tell("user.offboarded", user, actor, ended=ended)
    return Offboarding(user, ended, again=False)


@operation
def take_away(*, user_id: UUID, taken: Taken, reason: str, actor: Actor) -> TakenAway:
    """Take roles, grants, tokens, keys or logins from somebody, now; what they do not hold is passed over.

    One's own tokens, keys and logins need no permission. Raises LastAdmin, UserNotHere, Denied, Invalid for nothing.
    """
    own = actor.user is not None and actor.user.pk == user_id and not taken.roles and not taken.grants
    if not own:
        actor.require(PERMISSION)
    said = _said(reason)
    if not taken:
        raise Invalid(
            _("Say what is to be taken away."), errors={"roles": [_("or grants, tokens, signer_keys, sessions")]}
        )
    user = holdings.lock_user(user_id)
    if holdings.ADMIN in taken.roles:
        holdings.require_another_admin(user)
    held = sorted(user.roles)
    ended = {
        "roles": holdings.end_roles(user, taken.roles),
        "grants": holdings.end_grants(user, taken.grants),
        "tokens": holdings.end_tokens(user, taken.tokens),
        "signer_keys": holdings.end_signer_keys(user, taken.signer_keys, at=database_clock()),
        "sessions": holdings.end_sessions(user) if taken.sessions else 0,
    }
    if any(ended.values()):
        after = {"roles": sorted(user.roles), "ended": ended, "tokens": sorted(taken.tokens)}
        record(actor, "user.taken_away", user, before={"roles": held}, after=after, reason=said)
        _tell("user.taken_away", user, actor, ended=ended)
    return TakenAway(user, ended)


def _said(reason: str) -> str:
    said = reason.strip()
    if not 0 < len(said) <= MAX_REASON:
        raise Invalid(
            _("Say why."), errors={"reason": [format_lazy(_("takes 1 to {most} characters"), most=MAX_REASON)]}
        )
    return said


def _tell(topic: str, user: User, actor: Actor, *, ended: dict[str, int]) -> None:
    facts = {"username": user.username, "by": actor.name, "ended": ended}
    outbox.emit(topic, kind=User._meta.db_table, id=user.pk, data=facts)
