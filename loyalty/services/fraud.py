"""Fraud: looked for by rules, judged by people. A machine flags, and may lock; only a person freezes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access_fraud
from loyalty.errors import FraudRuleInvalid, NothingToDo
from loyalty.fraud import detection
from loyalty.fraud.detection import CONFIRMED, Found
from loyalty.models import Balance, FraudHit, FraudRule, SiraFeedback
from loyalty.reasons import said
from loyalty.selectors import database_clock
from loyalty.states import HitState
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import Subject, record

DECIDE: Final = "loyalty.decide_fraud"
MOST_AT_ONCE: Final = 200


@operation
def look_for(*, rule_id: UUID, as_of: datetime | None = None, actor: Actor) -> Found:
    """Look by a rule that is switched on, now or as of a time that has passed, and open what it hits.

    Raises FraudRuleNotFound, Denied, NothingToDo for a rule that is off, FraudRuleInvalid for a time to come.
    """
    rule, now = access_fraud.fraud_rule_for(actor, rule_id), database_clock()
    if not rule.active:
        raise NothingToDo(_("The rule is switched off."))
    if as_of is not None and as_of > now:
        told = {"as_of": [_("must lie in the past")]}
        raise FraudRuleInvalid(_("Nothing has happened then yet."), errors=told)
    moments = [as_of] if as_of else detection.moments_until(rule, now)
    found = detection.open_hits(rule, moments)
    if as_of is None:
        FraudRule.objects.filter(pk=rule.pk).update(looked_at=now)
    if found.hits:
        facts = {"hits": found.hits, "points_locked": found.points_locked, "as_of": moments[0]}
        record(actor, "fraud.found", rule, after={"version": rule.version, **facts})
        told_facts = {"rule": rule.code, "hits": found.hits, "points_locked": found.points_locked}
        emit("fraud.found", kind=FraudRule._meta.db_table, id=rule.pk, data=told_facts)
    return found


@operation
def confirm_hits(*, hit_ids: Sequence[UUID], comment: str, actor: Actor) -> list[FraudHit]:
    """It is fraud: freeze the members, lock all their points and say so on them (runbook 5, step 4); all or none.

    Raises HitNotFound, Denied, WrongState for a hit that was judged before.
    """
    hits, why = _to_judge(hit_ids, comment, actor)
    members = _members_of(hits)
    for hit in hits:
        _judge(hit, HitState.CONFIRMED, why, actor)
        member = members[hit.balance_id]
        before = _facts(member)
        member.is_frozen, member.locked = True, member.points_balance
        if CONFIRMED not in member.fraud_flags:
            member.fraud_flags = [*member.fraud_flags, CONFIRMED]
        _write(member, before, "member.frozen", why, actor)
        _tell(hit, member, "fraud.confirmed", why)
    return hits


@operation
def dismiss_hits(*, hit_ids: Sequence[UUID], comment: str, actor: Actor) -> list[FraudHit]:
    """It is no fraud: unlock what the machine locked and take its flags off; all or none.

    What a person has frozen, locked or flagged stays, and so does what another hit, which is still to be judged, holds
    the member for. Raises HitNotFound, Denied, WrongState.
    """
    hits, why = _to_judge(hit_ids, comment, actor)
    members = _members_of(hits)
    for hit in hits:
        _judge(hit, HitState.DISMISSED, why, actor)
    for hit in hits:  # all are judged by now: none of them holds anybody for another
        member = members[hit.balance_id]
        before = _facts(member)
        _let_go(hit, member)
        unlocked = member.locked < before["locked"]
        _write(member, before, "points.unlocked" if unlocked else "member.unflagged", why, actor)
        _tell(hit, member, "fraud.dismissed", why)
    return hits


@operation
def remind_of_overdue(*, actor: Actor) -> int:
    """Tell of hits that nobody has judged in time, each once; how many there were. One being judged now is passed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "with overdue as (select id from loyalty_fraud_hits"
            "   where status = 'open' and due_at < now() and reminded_at is null order by id for update skip locked)"
            " update loyalty_fraud_hits set reminded_at = now() where id in (select id from overdue)"
        )
        overdue: int = cursor.rowcount
    if overdue:
        table = FraudHit._meta.db_table
        record(actor, "fraud.overdue", Subject(table, "queue"), after={"hits": overdue})
        emit("fraud.overdue", kind=table, id="queue", data={"hits": overdue})
    return overdue


def _to_judge(hit_ids: Sequence[UUID], comment: str, actor: Actor) -> tuple[list[FraudHit], str]:
    if actor.user is None:
        raise Denied(_("People give verdicts."))
    if not 0 < len(set(hit_ids)) <= MOST_AT_ONCE:
        told = format_lazy(_("takes 1 to {most}"), most=MOST_AT_ONCE)
        raise FraudRuleInvalid(_("These are too many hits for one verdict, or none."), errors={"hits": [told]})
    return access_fraud.hits_for(actor, hit_ids, DECIDE), said(comment)


def _members_of(hits: Sequence[FraudHit]) -> dict[UUID, Balance]:
    """The members, locked by id, each once whatever many hits they have."""
    wanted = {hit.balance_id for hit in hits}
    rows = Balance.objects.select_for_update(no_key=True, of=("self",)).select_related("program")
    return {member.pk: member for member in rows.filter(pk__in=wanted).order_by("pk")}


def _judge(hit: FraudHit, verdict: HitState, comment: str, actor: Actor) -> None:
    before = hit.status
    hit.move_to(verdict)
    hit.decided_at, hit.decided_by = database_clock(), actor.user
    hit.save(update_fields=["status", "decided_at", "decided_by"])
    assert actor.user is not None
    SiraFeedback.objects.create(
        hit=hit,
        balance_id=hit.balance_id,
        rule_code=hit.rule.code,
        verdict=verdict.value,
        comment=comment,
        given_by=actor.user,
    )
    verb = "fraud.confirmed" if verdict is HitState.CONFIRMED else "fraud.dismissed"
    after = {"status": hit.status, "rule": hit.rule.code, "member": hit.balance_id}
    record(actor, verb, hit, before={"status": before}, after=after, reason=comment)


def _let_go(hit: FraudHit, member: Balance) -> None:
    """Take off the member what a dismissed hit put on them, or have the next hit that is still open answer for it."""
    still_open = FraudHit.objects.filter(balance=hit.balance_id, status=HitState.OPEN).order_by("pk")
    if (heir := still_open.first()) is None:
        member.fraud_flags = [flag for flag in member.fraud_flags if flag not in hit.flagged]
    else:
        FraudHit.objects.filter(pk=heir.pk).update(flagged=[*heir.flagged, *hit.flagged])
    if CONFIRMED in member.fraud_flags:
        return  # a person has locked all there is
    if (heir := still_open.filter(rule__locks=True).first()) is None:
        member.locked = max(member.locked - hit.points_locked, 0)
    else:
        FraudHit.objects.filter(pk=heir.pk).update(points_locked=heir.points_locked + hit.points_locked)


def _facts(member: Balance) -> dict[str, Any]:
    return {"is_frozen": member.is_frozen, "locked": member.locked, "fraud_flags": list(member.fraud_flags)}


def _write(member: Balance, before: dict[str, Any], verb: str, reason: str, actor: Actor) -> None:
    after = _facts(member)
    differing = [name for name in before if before[name] != after[name]]
    if not differing:
        return
    Balance.objects.filter(pk=member.pk).update(**{name: after[name] for name in differing}, updated_at=Now())
    was, now = ({name: facts[name] for name in differing} for facts in (before, after))
    record(actor, verb, member, before=was, after=now, reason=reason)


def _tell(hit: FraudHit, member: Balance, topic: str, reason: str) -> None:
    about = {"rule": hit.rule.code, "program": member.program.name, "member": member.user_id, "reason": reason}
    emit(topic, kind=FraudHit._meta.db_table, id=hit.pk, data={**about, "balance": str(member.pk)})
