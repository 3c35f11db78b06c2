"""Who may see and change what in loyalty: fetched, locked and permitted in one call.

A role gives a right over every program. A grant of `view_program` on one program opens that program with everything in
it; the rights to act (`earn_points`, `launch_campaign`, ...) are rights on the program too, and can be granted on one.
What an actor may not see does not exist for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty.errors import (
    BatchNotFound,
    CampaignNotFound,
    MemberNotFound,
    ProgramNotFound,
    RedemptionNotFound,
    RewardNotFound,
    RuleNotFound,
    TierNotFound,
    TransactionNotFound,
    VoucherNotFound,
)
from loyalty.models import (
    Balance,
    Campaign,
    Program,
    Redemption,
    Reward,
    Rule,
    Tier,
    TierSnapshot,
    Transaction,
    Voucher,
    VoucherBatch,
)
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, NotFound
from opsconsole.core.grants import granted

Row = TypeVar("Row", bound=Model)
VIEW = "loyalty.view_program"


def visible_programs(actor: Actor) -> QuerySet[Program]:
    """The programs the actor may see; raises Denied for one who may see none."""
    if actor.may(VIEW):
        return Program.objects.all()
    opened = granted_programs(actor)
    if not opened.exists():
        actor.require(VIEW)
    return opened


def granted_programs(actor: Actor) -> QuerySet[Program]:
    """The programs that the actor was granted the sight of, one by one."""
    return granted(actor, VIEW, Program.objects.all())


def granted_members(actor: Actor) -> QuerySet[Balance]:
    """The members of those programs."""
    return Balance.objects.filter(program__in=granted_programs(actor).values("pk"))


def granted_campaigns(actor: Actor) -> QuerySet[Campaign]:
    """The campaigns of those programs."""
    return Campaign.objects.filter(program__in=granted_programs(actor).values("pk"))


def of_visible_programs(actor: Actor, permission: str, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Those of the rows, which have a `program`, that the actor may see; raises Denied for one who may see none."""
    if actor.may(permission):
        return rows
    return rows.filter(program__in=visible_programs(actor).values("pk"))


def visible_members(actor: Actor) -> QuerySet[Balance]:
    """The members the actor may see; raises Denied for one who may see none."""
    return of_visible_programs(actor, "loyalty.view_balance", Balance.objects.select_related("program", "tier"))


def visible_campaigns(actor: Actor) -> QuerySet[Campaign]:
    """The campaigns the actor may see; raises Denied for one who may see none."""
    return of_visible_programs(actor, "loyalty.view_campaign", Campaign.objects.select_related("program"))


def visible_transactions(actor: Actor) -> QuerySet[Transaction]:
    """The ledger, or that of the programs the actor may see; raises Denied for one who may see none."""
    if actor.may("loyalty.view_transaction"):
        return Transaction.objects.all()
    programs = visible_programs(actor).values("pk")
    return Transaction.objects.filter(balance__in=Balance.objects.filter(program__in=programs).values("pk"))


def program_seen_by(actor: Actor, program_id: UUID) -> Program:
    """The program, to read; raises ProgramNotFound for one the actor may not see."""
    try:
        found = visible_programs(actor).filter(pk=program_id).first()
    except Denied:
        found = None
    if found is None:
        raise ProgramNotFound(_("There is no such program."), program=str(program_id))
    return found


def program_named(actor: Actor, text: str) -> Program:
    """The program of this name or id, to read; raises ProgramNotFound for one the actor may not see."""
    try:
        return program_seen_by(actor, UUID(text))
    except ValueError:
        named = Program.objects.filter(name=text).values_list("pk", flat=True).first()
    if named is None:
        raise ProgramNotFound(_("There is no such program."), program=text)
    return program_seen_by(actor, named)


def program_to_use(actor: Actor, program_id: UUID, permission: str) -> Program:
    """The program, not locked, for an actor who may do this in it; raises ProgramNotFound or Denied."""
    program = program_seen_by(actor, program_id)
    actor.require(permission, program)
    return program


def require_use(actor: Actor, program_id: UUID, permission: str) -> None:
    """Raise ProgramNotFound or Denied unless the actor may do this in the program.

    Whoever may do it in every program is not asked which there are: that is for what is done to find out.
    """
    if not (actor.may(VIEW) and actor.may(permission)):
        program_to_use(actor, program_id, permission)


def program_for(actor: Actor, program_id: UUID, permission: str) -> Program:
    """The program, locked, for an actor who may do this in it; raises ProgramNotFound or Denied."""
    program_to_use(actor, program_id, permission)
    return Program.objects.select_for_update(no_key=True).get(pk=program_id)


def member_seen_by(actor: Actor, balance_id: UUID) -> Balance:
    """The member, to read; raises MemberNotFound for one the actor may not see."""
    try:
        found = visible_members(actor).filter(pk=balance_id).first()
    except Denied:
        found = None
    if found is None:
        raise MemberNotFound(_("There is no such member."), balance=str(balance_id))
    return found


def member_named(actor: Actor, program: Program, user_id: str) -> Balance:
    """The member of a program by their own id, to read; raises MemberNotFound for one the actor may not see."""
    found = Balance.objects.filter(program=program, user_id=user_id).values_list("pk", flat=True).first()
    if found is None:
        raise MemberNotFound(
            format_lazy(_("There is no member {member} in this program."), member=user_id), program=program.name
        )
    return member_seen_by(actor, found)


def member_for(actor: Actor, balance_id: UUID, permission: str) -> Balance:
    """The member, locked, for an actor who may do this in their program; raises MemberNotFound or Denied."""
    seen = member_seen_by(actor, balance_id)
    actor.require(permission, seen.program)
    return Balance.objects.select_for_update(no_key=True, of=("self",)).select_related("program").get(pk=seen.pk)


def members_for(actor: Actor, balance_ids: Sequence[UUID], permission: str) -> list[Balance]:
    """Several members, locked by id; raises MemberNotFound if one is missing, or Denied for one of their programs."""
    wanted = set(balance_ids)
    try:
        seen = list(visible_members(actor).filter(pk__in=wanted))
    except Denied:
        seen = []
    if len(seen) != len(wanted):
        raise MemberNotFound(_("Some of these members do not exist."))
    for program in {member.program_id: member.program for member in seen}.values():
        actor.require(permission, program)
    locked = Balance.objects.select_for_update(no_key=True, of=("self",)).select_related("program")
    return list(locked.filter(pk__in=wanted).order_by("pk"))


def campaign_seen_by(actor: Actor, campaign_id: UUID) -> Campaign:
    """The campaign, to read; raises CampaignNotFound for one the actor may not see."""
    try:
        found = visible_campaigns(actor).filter(pk=campaign_id).first()
    except Denied:
        found = None
    if found is None:
        raise CampaignNotFound(_("There is no such campaign."), campaign=str(campaign_id))
    return found


def campaign_for(actor: Actor, campaign_id: UUID, permission: str) -> Campaign:
    """The campaign, locked, for an actor who may do this in its program; raises CampaignNotFound or Denied."""
    seen = campaign_seen_by(actor, campaign_id)
    actor.require(permission, seen.program)
    locked = Campaign.objects.select_for_update(no_key=True, of=("self",)).select_related("program")
    return locked.get(pk=seen.pk)


def campaign_to_use(actor: Actor, campaign_id: UUID, permission: str) -> Campaign:
    """The campaign, not locked, for an actor who may do this in its program; raises CampaignNotFound or Denied."""
    seen = campaign_seen_by(actor, campaign_id)
    actor.require(permission, seen.program)
    return seen


def lock_campaign(campaign_id: UUID) -> Campaign:
    """The campaign, locked, for a part of the system that goes on with it."""
    locked = Campaign.objects.select_for_update(no_key=True, of=("self",)).select_related("program")
    return locked.get(pk=campaign_id)


def transaction_seen_by(actor: Actor, transaction_id: UUID) -> Transaction:
    """The transaction, to read; raises TransactionNotFound for one the actor may not see."""
    try:
        found = visible_transactions(actor).filter(pk=transaction_id).first()
    except Denied:
        found = None
    if found is None:
        raise TransactionNotFound(_("There is no such transaction."), transaction=str(transaction_id))
    return found


# --- vouchers, rewards, rules of earning ----------------------------------------------------------------------------


def programs_to_use(actor: Actor, permission: str) -> QuerySet[Program]:
    """Those of the programs the actor sees in which they may do this; raises Denied for one who may in none."""
    seen = visible_programs(actor)
    if actor.may(permission):
        return seen
    opened = granted(actor, permission, seen)
    if not opened.exists():
        actor.require(permission)
    return opened


def visible_batches(actor: Actor) -> QuerySet[VoucherBatch]:
    """The batches of vouchers the actor may see; raises Denied for one who may see none."""
    return of_visible_programs(actor, "loyalty.view_voucherbatch", VoucherBatch.objects.select_related("program"))


def batch_seen_by(actor: Actor, batch_id: UUID) -> VoucherBatch:
    """The batch, to read; raises BatchNotFound for one the actor may not see."""
    return one_seen(visible_batches, actor, batch_id, BatchNotFound(_("There is no such batch of vouchers.")))


def batch_for(actor: Actor, batch_id: UUID, permission: str) -> VoucherBatch:
    """The batch, locked, for an actor who may do this in its program; raises BatchNotFound or Denied."""
    seen = batch_seen_by(actor, batch_id)
    actor.require(permission, seen.program)
    locked = VoucherBatch.objects.select_for_update(no_key=True, of=("self",)).select_related("program")
    return locked.get(pk=seen.pk)


def visible_vouchers(actor: Actor) -> QuerySet[Voucher]:
    """The vouchers of the batches the actor may see; raises Denied for one who may see none."""
    rows = Voucher.objects.select_related("batch__program", "balance")
    if actor.may("loyalty.view_voucherbatch"):
        return rows
    return rows.filter(batch__in=visible_batches(actor).values("pk"))


def voucher_for(actor: Actor, voucher_id: UUID, permission: str) -> Voucher:
    """One voucher, locked, for an actor who may do this in its program; raises VoucherNotFound or Denied."""
    seen = one_seen(visible_vouchers, actor, voucher_id, VoucherNotFound(_("There is no such voucher.")))
    actor.require(permission, seen.batch.program)
    locked = Voucher.objects.select_for_update(no_key=True, of=("self",)).select_related("batch__program")
    return locked.get(pk=seen.pk)


def visible_rewards(actor: Actor) -> QuerySet[Reward]:
    """The rewards the actor may see; raises Denied for one who may see none."""
    return of_visible_programs(actor, "loyalty.view_reward", Reward.objects.select_related("program"))


def reward_seen_by(actor: Actor, reward_id: UUID) -> Reward:
    """The reward, to read; raises RewardNotFound for one the actor may not see."""
    return one_seen(visible_rewards, actor, reward_id, RewardNotFound(_("There is no such reward.")))


def reward_to_use(actor: Actor, reward_id: UUID, permission: str) -> Reward:
    """The reward, not locked, for an actor who may do this in its program; raises RewardNotFound or Denied."""
    seen = reward_seen_by(actor, reward_id)
    actor.require(permission, seen.program)
    return seen


def reward_for(actor: Actor, reward_id: UUID, permission: str) -> Reward:
    """The same, locked."""
    seen = reward_to_use(actor, reward_id, permission)
    return Reward.objects.select_for_update(no_key=True, of=("self",)).select_related("program").get(pk=seen.pk)


def visible_redemptions(actor: Actor) -> QuerySet[Redemption]:
    """The redemptions the actor may see; raises Denied for one who may see none."""
    rows = Redemption.objects.select_related("balance__program", "reward")
    return of_visible_members(actor, "loyalty.view_redemption", rows)


def redemption_seen_by(actor: Actor, redemption_id: UUID) -> Redemption:
    """The redemption, to read; raises RedemptionNotFound for one the actor may not see."""
    return one_seen(visible_redemptions, actor, redemption_id, RedemptionNotFound(_("There is no such redemption.")))


def redemption_for(actor: Actor, redemption_id: UUID, permission: str) -> Redemption:
    """The redemption and its member, locked, for an actor who may do this in its program; raises as above, Denied."""
    seen = redemption_seen_by(actor, redemption_id)
    actor.require(permission, seen.balance.program)
    # The member first, as whoever redeems does.
    Balance.objects.select_for_update(no_key=True).get(pk=seen.balance_id)
    locked = Redemption.objects.select_for_update(no_key=True, of=("self",)).select_related("balance__program")
    return locked.get(pk=seen.pk)


def visible_rules(actor: Actor) -> QuerySet[Rule]:
    """The rules of earning the actor may see; raises Denied for one who may see none."""
    return of_visible_programs(actor, "loyalty.view_rule", Rule.objects.select_related("program"))


def rule_for(actor: Actor, rule_id: UUID, permission: str) -> Rule:
    """The rule, locked after its program, for an actor who may do this there; raises RuleNotFound or Denied."""
    seen = one_seen(visible_rules, actor, rule_id, RuleNotFound(_("There is no such rule of earning.")))
    program_for(actor, seen.program_id, permission)
    return Rule.objects.select_for_update(no_key=True, of=("self",)).select_related("program").get(pk=seen.pk)


def of_visible_members(actor: Actor, permission: str, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Those of the rows, which have a `balance`, that the actor may see; raises Denied for one who may see none."""
    if actor.may(permission):
        return rows
    return rows.filter(balance__program__in=visible_programs(actor).values("pk"))


def one_seen(rows: Callable[[Actor], QuerySet[Row]], actor: Actor, row_id: UUID, missing: NotFound) -> Row:
    """The one row, if the actor may see it; else the refusal."""
    try:
        found = rows(actor).filter(pk=row_id).first()
    except Denied:
        found = None
    if found is None:
        raise missing
    return found


def visible_tiers(actor: Actor) -> QuerySet[Tier]:
    """The tiers the actor may see; raises Denied for one who may see none."""
    return of_visible_programs(actor, "loyalty.view_tier", Tier.objects.select_related("program"))


def visible_snapshots(actor: Actor) -> QuerySet[TierSnapshot]:
    """The changes of tier the actor may see; raises Denied for one who may see none."""
    rows = TierSnapshot.objects.select_related("program", "balance", "was", "now")
    return of_visible_programs(actor, "loyalty.view_tiersnapshot", rows)


def tier_for(actor: Actor, tier_id: UUID, permission: str) -> Tier:
    """The tier, locked after its program, for an actor who may do this there; raises TierNotFound or Denied."""
    found = one_seen(visible_tiers, actor, tier_id, TierNotFound(_("There is no such tier.")))
    program_for(actor, found.program_id, permission)
    return Tier.objects.select_for_update(no_key=True, of=("self",)).select_related("program").get(pk=tier_id)
