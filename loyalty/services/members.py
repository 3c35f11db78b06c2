"""Members: frozen and let go on, their points locked and unlocked, flagged for whoever investigates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.errors import MemberFrozen, NothingToDo, PointsInvalid, PointsShort
from loyalty.models import Balance
from loyalty.reasons import said
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record

CONFIRMED: Final = "confirmed_fraud"
MAX_FLAG: Final = 100


@operation
def freeze_members(
    *, balance_ids: Sequence[UUID], reason: str, flag: str = "", lock_all: bool = False, actor: Actor
) -> list[Balance]:
    """Freeze members: nothing is earned or redeemed by them until they are let go on; all or none.

    With `lock_all` their points are locked as well, as the runbook has it once fraud is confirmed. Who is frozen
    already stays so; raises NothingToDo where that is so of everything, MemberNotFound, Denied, and PointsInvalid for
    what is no flag.
    """
    flags = _readable([flag]) if flag else []

    def freeze(member: Balance) -> None:
        member.is_frozen = True
        if lock_all:
            member.locked = member.points_balance
        _flag(member, flags)

    return _change(balance_ids, "loyalty.freeze_member", "member.frozen", reason, actor, freeze)


@operation
def unfreeze_members(*, balance_ids: Sequence[UUID], reason: str, unlock: bool = False, actor: Actor) -> list[Balance]:
    """Let members earn and redeem again, with `unlock` all their points too; all or none.

    Raises MemberFrozen for one who was erased: their balance is closed for good.
    """

    def unfreeze(member: Balance) -> None:
        if member.erased_at is not None:
            raise MemberFrozen(format_lazy(_("{member} is erased, and stays frozen."), member=member.user_id))
        member.is_frozen = False
        if unlock:
            member.locked = 0

    return _change(balance_ids, "loyalty.unfreeze_member", "member.unfrozen", reason, actor, unfreeze)


@operation
def lock_points(*, balance_id: UUID, points: int | None, reason: str, actor: Actor) -> Balance:
    """Lock so many more of a member's points, or all of them; raises PointsShort for more than there are."""

    def lock(member: Balance) -> None:
        wanted = member.points_balance if points is None else member.locked + _positive(points)
        if wanted > member.points_balance:
            raise PointsShort(_("The member does not have so many points that are not locked."))
        member.locked = wanted

    return _change([balance_id], "loyalty.freeze_member", "points.locked", reason, actor, lock)[0]


@operation
def unlock_points(*, balance_id: UUID, points: int | None, reason: str, actor: Actor) -> Balance:
    """Unlock so many of a member's points, or all of them; raises PointsShort for more than are locked."""

    def unlock(member: Balance) -> None:
        wanted = 0 if points is None else member.locked - _positive(points)
        if wanted < 0:
            raise PointsShort(_("The member does not have so many locked points."))
        member.locked = wanted

    return _change([balance_id], "loyalty.unfreeze_member", "points.unlocked", reason, actor, unlock)[0]


@operation
def flag_members(*, balance_ids: Sequence[UUID], flags: Sequence[str], reason: str, actor: Actor) -> list[Balance]:
    """Put flags on members for whoever looks into them; all or none."""
    wanted = _readable(flags)
    return _change(
        balance_ids, "loyalty.freeze_member", "member.flagged", reason, actor, lambda member: _flag(member, wanted)
    )


def _change(
    balance_ids: Sequence[UUID],
    permission: str,
    verb: str,
    reason: str,
    actor: Actor,
    change: Callable[[Balance], None],
) -> list[Balance]:
    why, members = said(reason), access.members_for(actor, balance_ids, permission)
    changed = 0
    for member in members:
        before = _facts(member)
        change(member)
        after = _facts(member)
        if before == after:
            continue
        changed += 1
        differing = [name for name in before if before[name] != after[name]]
        Balance.objects.filter(pk=member.pk).update(**{name: after[name] for name in differing}, updated_at=Now())
        record(
            actor,
            verb,
            member,
            before={name: before[name] for name in differing},
            after={name: after[name] for name in differing},
            reason=why,
        )
        about = {"program": member.program.name, "member": member.user_id, "reason": why}
        emit(verb, kind=Balance._meta.db_table, id=member.pk, data=about)
    if not changed:
        raise NothingToDo(_("Everything is as it is asked for already."))
    return members


def _facts(member: Balance) -> dict[str, Any]:
    return {"is_frozen": member.is_frozen, "locked": member.locked, "fraud_flags": list(member.fraud_flags)}


def _readable(flags: Sequence[str]) -> list[str]:
    wanted = [flag.strip() for flag in flags]
    if not wanted or any(not 0 < len(flag) <= MAX_FLAG for flag in wanted):
        raise PointsInvalid(_("A flag is 1 to 100 characters."), errors={"flags": [_("not a flag")]})
    return wanted


def _flag(member: Balance, flags: Sequence[str]) -> None:
    member.fraud_flags = [*member.fraud_flags, *(flag for flag in flags if flag not in member.fraud_flags)]


def _positive(points: int) -> int:
    if points <= 0:
        raise PointsInvalid(_("This takes a number of points."), errors={"points": [_("must be more than 0")]})
    return points
