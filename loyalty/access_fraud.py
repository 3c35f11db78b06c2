"""Who may see and change what is looked into: fraud, disputes, and budgets that run out; as `access` does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from loyalty.access import of_visible_members, of_visible_programs, one_seen, programs_to_use
from loyalty.errors import AlertNotFound, DisputeNotFound, FraudRuleNotFound, HitNotFound
from loyalty.models import Balance, BudgetAlert, Dispute, FraudHit, FraudRule, SiraFeedback
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied


def visible_fraud_rules(actor: Actor) -> QuerySet[FraudRule]:
    """All fraud rules, which hold in every program; raises Denied for whom they are no business of."""
    actor.require("loyalty.view_fraudrule")
    return FraudRule.objects.all()


def fraud_rule_seen_by(actor: Actor, rule_id: UUID) -> FraudRule:
    """The rule, to read; raises FraudRuleNotFound for one who may not see any."""
    return one_seen(visible_fraud_rules, actor, rule_id, FraudRuleNotFound(_("There is no such fraud rule.")))


def fraud_rule_for(actor: Actor, rule_id: UUID) -> FraudRule:
    """The rule, locked, for whoever manages them; raises FraudRuleNotFound or Denied."""
    seen = fraud_rule_seen_by(actor, rule_id)
    actor.require("loyalty.manage_fraud_rules")
    return FraudRule.objects.select_for_update(no_key=True).get(pk=seen.pk)


def visible_hits(actor: Actor) -> QuerySet[FraudHit]:
    """The hits of members the actor may see; raises Denied for one who may see none."""
    rows = FraudHit.objects.select_related("rule", "balance__program", "decided_by")
    return of_visible_members(actor, "loyalty.view_fraudhit", rows)


def hits_to_judge(actor: Actor, permission: str) -> QuerySet[FraudHit]:
    """Those of the hits the actor sees on which they may give a verdict; raises Denied for one who may on none."""
    seen = visible_hits(actor)
    if actor.may(permission):
        return seen
    return seen.filter(balance__program__in=programs_to_use(actor, permission).values("pk"))


def hit_seen_by(actor: Actor, hit_id: UUID) -> FraudHit:
    """The hit, to read; raises HitNotFound for one the actor may not see."""
    return one_seen(visible_hits, actor, hit_id, HitNotFound(_("There is no such fraud hit.")))


def hits_for(actor: Actor, hit_ids: Sequence[UUID], permission: str) -> list[FraudHit]:
    """Several hits and their members, locked by id, for an actor who may do this; raises HitNotFound or Denied."""
    wanted = set(hit_ids)
    try:
        seen = list(visible_hits(actor).filter(pk__in=wanted))
    except Denied:
        seen = []
    if len(seen) != len(wanted):
        raise HitNotFound(_("Some of these fraud hits do not exist."))
    for program in {hit.balance.program_id: hit.balance.program for hit in seen}.values():
        actor.require(permission, program)
    # The members first: whoever judges another hit of one of them waits here, and not each for the other.
    list(Balance.objects.select_for_update(no_key=True).filter(pk__in={hit.balance_id for hit in seen}).order_by("pk"))
    locked = FraudHit.objects.select_for_update(no_key=True, of=("self",)).select_related("rule")
    return list(locked.filter(pk__in=wanted).order_by("pk"))


def visible_verdicts(actor: Actor) -> QuerySet[SiraFeedback]:
    """The verdicts on members the actor may see; raises Denied for one who may see none."""
    rows = SiraFeedback.objects.select_related("hit", "balance__program", "given_by")
    return of_visible_members(actor, "loyalty.view_sirafeedback", rows)


def visible_disputes(actor: Actor) -> QuerySet[Dispute]:
    """The disputes the actor may see; raises Denied for one who may see none."""
    rows = Dispute.objects.select_related("program", "balance", "opened_by", "decided_by")
    return of_visible_programs(actor, "loyalty.view_dispute", rows)


def dispute_seen_by(actor: Actor, dispute_id: UUID) -> Dispute:
    """The dispute, to read; raises DisputeNotFound for one the actor may not see."""
    return one_seen(visible_disputes, actor, dispute_id, DisputeNotFound(_("There is no such dispute.")))


def dispute_for(actor: Actor, dispute_id: UUID, permission: str) -> Dispute:
    """The dispute, locked, for an actor who may do this in its program; raises DisputeNotFound or Denied."""
    seen = dispute_seen_by(actor, dispute_id)
    actor.require(permission, seen.program)
    locked = Dispute.objects.select_for_update(no_key=True, of=("self",)).select_related("program", "balance")
    return locked.get(pk=seen.pk)


def visible_alerts(actor: Actor) -> QuerySet[BudgetAlert]:
    """The budget alerts the actor may see; raises Denied for one who may see none."""
    rows = BudgetAlert.objects.select_related("program", "acknowledged_by")
    return of_visible_programs(actor, "loyalty.view_budgetalert", rows)


def alert_for(actor: Actor, alert_id: UUID, permission: str) -> BudgetAlert:
    """The alert, locked, for an actor who may do this in its program; raises AlertNotFound or Denied."""
    seen = one_seen(visible_alerts, actor, alert_id, AlertNotFound(_("There is no such budget alert.")))
    actor.require(permission, seen.program)
    return BudgetAlert.objects.select_for_update(no_key=True, of=("self",)).select_related("program").get(pk=seen.pk)
