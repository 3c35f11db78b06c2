"""Rewards, and members who take them for points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access, ledger, limits
from loyalty.errors import MemberNotFound, NothingToDo, PointsInvalid, RewardNameTaken
from loyalty.models import Balance, Redemption, Reward, Transaction
from loyalty.reasons import said
from loyalty.selectors import new_id
from loyalty.states import EventType, RedemptionState
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.states import WrongState
from opsconsole.core.texts import Text
from opsconsole.journal.record import record

MAX_NAME: Final = 100
MOST_STOCK: Final = 1_000_000_000
CHANGEABLE: Final = ("name", "points", "stock", "per_member", "active")


@operation
def create_reward(
    *,
    program_id: UUID,
    name: str,
    points: int,
    stock: int | None = None,
    per_member: int | None = None,
    actor: Actor,
) -> Reward:
    """Offer a reward for points; without a stock as many as are asked for.

    Raises ProgramNotFound, Denied, PointsInvalid, RewardNameTaken.
    """
    program = access.program_to_use(actor, program_id, "loyalty.change_program")
    facts = {"name": name.strip(), "points": points, "stock": stock, "per_member": per_member}
    _require_sound(facts)
    try:
        with transaction.atomic():
            reward = Reward.objects.create(program=program, **facts)
    except IntegrityError as error:
        raise _name_taken(name) from error
    reward.refresh_from_db()
    record(actor, "reward.created", reward, after={"program": program.name, **facts})
    return reward


@operation
def change_reward(*, reward_id: UUID, changes: Mapping[str, Any], reason: str, actor: Actor) -> Reward:
    """Change what a reward costs, how many there are, or whether it is given; what was redeemed stays as it was.

    Raises RewardNotFound, Denied, PointsInvalid, RewardNameTaken, NothingToDo.
    """
    reward = access.reward_for(actor, reward_id, "loyalty.change_program")
    why = said(reason)
    wanted = {name: value.strip() if name == "name" else value for name, value in changes.items()}
    if unknown := sorted(wanted.keys() - set(CHANGEABLE)):
        raise PointsInvalid(
            _("A reward has no such field."), errors={name: [_("is not to be changed")] for name in unknown}
        )
    _require_sound({name: wanted.get(name, getattr(reward, name)) for name in CHANGEABLE})
    before = {name: getattr(reward, name) for name, value in wanted.items() if getattr(reward, name) != value}
    if not before:
        raise NothingToDo(_("Everything is as it is asked for already."))
    after = {name: wanted[name] for name in before}
    try:
        with transaction.atomic():
            Reward.objects.filter(pk=reward.pk).update(**after, updated_at=Now())
    except IntegrityError as error:
        raise _name_taken(str(wanted.get("name", ""))) from error
    record(actor, "reward.changed", reward, before=before, after=after, reason=why)
    reward.refresh_from_db()
    return reward


@operation
def redeem_reward(*, reward_id: UUID, user_id: str, ip_address: str | None = None, actor: Actor) -> Redemption:
    """Take a reward for a member's points; the database counts stock and limit, whoever else is at it.

    Raises RewardNotFound, Denied, MemberNotFound, RewardUnavailable, RewardLimit, PointsShort, and what the ledger
    refuses.
    """
    reward = access.reward_to_use(actor, reward_id, "loyalty.redeem_points")
    # The member first, then the reward, then the program: as whoever takes a redemption back.
    member = Balance.objects.select_for_update(no_key=True).filter(program=reward.program_id, user_id=user_id).first()
    if member is None:
        raise MemberNotFound(format_lazy(_("There is no member {member} in this program."), member=user_id))
    redemption_id, debit = new_id(), new_id()
    with limits.told():
        Redemption.objects.create(
            pk=redemption_id, balance=member, reward=reward, transaction_id=debit, points=reward.points
        )
    told = {"program": reward.program.name, "member": user_id, "reward": reward.name, "points": reward.points}
    emit("reward.redeemed", kind=Redemption._meta.db_table, id=redemption_id, data=told)
    ledger.insert_one(
        member.pk,
        id=debit,
        event_type=EventType.REDEEM.value,
        amount=-reward.points,
        origin_txn_id=str(redemption_id),
        ip_address=ip_address,
    )
    return Redemption.objects.select_related("balance", "reward").get(pk=redemption_id)


@operation
def fulfil_redemption(*, redemption_id: UUID, actor: Actor) -> Redemption:
    """Note that the member has what they redeemed; raises RedemptionNotFound, Denied, WrongState.

    WrongState also where the member has all of their points back, by a reversal of the transaction itself.
    """
    redemption = access.redemption_for(actor, redemption_id, "loyalty.redeem_points")
    before = redemption.status
    if redemption.state is RedemptionState.CLAIMED and _given_back(redemption) == redemption.points:
        raise WrongState(_("Its points were given back: take the redemption back."), status=before)
    _move(redemption, RedemptionState.FULFILLED)
    record(actor, "redemption.fulfilled", redemption, before={"status": before}, after={"status": redemption.status})
    return redemption


@operation
def take_redemption_back(*, redemption_id: UUID, reason: str, actor: Actor) -> Redemption:
    """Give the member their points back, and the reward to the stock; not once it was handed over.

    Raises RedemptionNotFound, Denied, WrongState.
    """
    redemption = access.redemption_for(actor, redemption_id, "loyalty.reverse_points")
    why, before = said(reason), redemption.status
    _move(redemption, RedemptionState.REVERSED)
    back = redemption.points - _given_back(redemption)
    after = {"status": redemption.status, "points": back}
    record(actor, "redemption.taken_back", redemption, before={"status": before}, after=after, reason=why)
    member = redemption.balance
    told = {"program": member.program.name, "member": member.user_id, "points": back, "reason": why}
    emit("redemption.taken_back", kind=Redemption._meta.db_table, id=redemption.pk, data=told)
    if back:
        ledger.insert_one(
            member.pk,
            event_type=EventType.REVERSE.value,
            amount=back,
            reverses_id=redemption.transaction_id,
            origin_txn_id=str(redemption.pk),
            reason=why,
        )
    return redemption


def _move(redemption: Redemption, state: RedemptionState) -> None:
    redemption.move_to(state)
    Redemption.objects.filter(pk=redemption.pk).update(status=redemption.status, updated_at=Now())


def _given_back(redemption: Redemption) -> int:
    """The points that are back already, by reversals of the transaction itself."""
    reversals = Transaction.objects.filter(reverses_id=redemption.transaction_id)
    return int(reversals.aggregate(points=Sum("amount"))["points"] or 0)


def _require_sound(facts: Mapping[str, Any]) -> None:
    wrong: dict[str, list[Text]] = {}
    if not 0 < len(facts["name"]) <= MAX_NAME:
        wrong["name"] = [format_lazy(_("takes 1 to {most} characters"), most=MAX_NAME)]
    if not 0 < facts["points"] <= ledger.MOST_POINTS:
        wrong["points"] = [format_lazy(_("must be 1 to {most}"), most=ledger.MOST_POINTS)]
    if facts["stock"] is not None and not 0 <= facts["stock"] <= MOST_STOCK:
        wrong["stock"] = [format_lazy(_("must be 0 to {most}"), most=MOST_STOCK)]
    if facts["per_member"] is not None and not 0 < facts["per_member"] <= MOST_STOCK:
        wrong["per_member"] = [format_lazy(_("must be 1 to {most}"), most=MOST_STOCK)]
    if wrong:
        raise PointsInvalid(_("This is no reward."), errors=wrong)


def _name_taken(name: str) -> RewardNameTaken:
    return RewardNameTaken(
        format_lazy(_("There is a reward {name} in this program already."), name=name.strip()),
        errors={"name": [_("is taken")]},
    )
