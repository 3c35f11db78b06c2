"""Fraud rules: made, changed, tried out on the past, and only then switched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access_fraud
from loyalty.errors import FraudRuleInvalid, FraudRuleTaken, NotBacktested, NothingToDo
from loyalty.fraud import detection
from loyalty.fraud.patterns import checked_limits, checked_networks, pattern_of
from loyalty.models import FraudRule
from loyalty.patience import at_most
from loyalty.reasons import said
from loyalty.selectors import database_clock
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import to_plain
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.texts import Text
from opsconsole.journal.record import record

PERMISSION: Final = "loyalty.manage_fraud_rules"
MAX_CODE: Final = 60
MAX_FLAG: Final = 100
MOST_HOURS: Final = 24 * 30
MOST_MOMENTS: Final = 2_000
TRIED_ON: Final = timedelta(days=90)  # where nobody says since when
PATIENCE: Final = timedelta(seconds=20)  # of whoever tries a rule out, and of what stands between them and the console
FIRST_YEAR: Final = 1990  # an earlier date is a mistake, whoever types it
FLAG: Final = "suspicious_pattern_detected"
CHANGEABLE: Final = ("limits", "allowed_networks", "flag", "locks", "review_hours")


@operation
def create_fraud_rule(
    *,
    code: str,
    kind: str,
    limits: Mapping[str, Any],
    allowed_networks: Sequence[str] = (),
    flag: str = FLAG,
    locks: bool = False,
    review_hours: int = 24,
    reason: str,
    actor: Actor,
) -> FraudRule:
    """Make a rule, switched off; raises Denied, FraudRuleInvalid, FraudRuleTaken."""
    actor.require(PERMISSION)
    why, name = said(reason), code.strip()
    if not 0 < len(name) <= MAX_CODE:
        told = format_lazy(_("takes 1 to {most} characters"), most=MAX_CODE)
        raise FraudRuleInvalid(_("A rule has a name."), errors={"code": [told]})
    facts = _checked(
        kind,
        {
            "limits": limits,
            "allowed_networks": list(allowed_networks),
            "flag": flag,
            "locks": locks,
            "review_hours": review_hours,
        },
    )
    try:
        with transaction.atomic():
            rule = FraudRule.objects.create(code=name, kind=kind, **facts)
    except IntegrityError as error:
        raise FraudRuleTaken(
            format_lazy(_("There is a fraud rule {code} already."), code=name), errors={"code": [_("is taken")]}
        ) from error
    rule.refresh_from_db()
    record(actor, "fraud_rule.created", rule, after={"code": name, "kind": kind, **facts}, reason=why)
    return rule


@operation
def change_fraud_rule(*, rule_id: UUID, changes: Mapping[str, Any], reason: str, actor: Actor) -> FraudRule:
    """Change what a rule looks for: that is another version, switched off until it has been tried out.

    Limits that are not among those given stay as they are. Raises FraudRuleNotFound, Denied, FraudRuleInvalid,
    NothingToDo.
    """
    rule = access_fraud.fraud_rule_for(actor, rule_id)
    why = said(reason)
    if unknown := sorted(changes.keys() - set(CHANGEABLE)):
        raise FraudRuleInvalid(
            _("A rule has no such field."), errors={name: [_("is not to be changed")] for name in unknown}
        )
    facts = {name: changes.get(name, getattr(rule, name)) for name in CHANGEABLE}
    # Here, where the rule is locked: two who each change one limit must not put back the other's.
    wanted = _checked(rule.kind, {**facts, "limits": {**rule.limits, **facts["limits"]}})
    before = {name: getattr(rule, name) for name, value in wanted.items() if getattr(rule, name) != value}
    if not before:
        raise NothingToDo(_("Everything is as it is asked for already."))
    after = {name: wanted[name] for name in before}
    was = {"version": rule.version, "active": rule.active}
    for name, value in after.items():
        setattr(rule, name, value)
    rule.version, rule.active, rule.backtest = rule.version + 1, False, None
    _save(rule, *after, "version", "active", "backtest")
    now = {"version": rule.version, "active": False}
    record(actor, "fraud_rule.changed", rule, before={**before, **was}, after={**after, **now}, reason=why)
    _tell(rule, "fraud_rule.changed", why)
    return rule


@operation
def back_test_rule(
    *, rule_id: UUID, since: datetime | None = None, until: datetime | None = None, actor: Actor
) -> FraudRule:
    """Try this version of a rule on the past, and keep with it what it would have found.

    It looks twice in each of its windows, so that what lies across the end of one is seen. Raises FraudRuleNotFound,
    Denied, FraudRuleInvalid for a time that is none, too long, or takes longer than PATIENCE to read, NotBacktested
    where the rule was changed meanwhile.
    """
    seen = access_fraud.fraud_rule_seen_by(actor, rule_id)
    actor.require(PERMISSION)
    now = database_clock()
    ends = until or now
    if ends > now or ends.year < FIRST_YEAR:
        told = {"until": [_("must lie in the past, and not too far")]}
        raise FraudRuleInvalid(_("A rule cannot be tried out on this time."), errors=told)
    begins = since or ends - TRIED_ON
    step = detection.window_of(seen) / 2
    count = int((ends - begins) / step)
    if not 0 < count <= MOST_MOMENTS:
        least, most = step.total_seconds() / 3600, (step * MOST_MOMENTS).days
        said_so = format_lazy(_("must lie {least} hours to {most} days before its end"), least=f"{least:g}", most=most)
        raise FraudRuleInvalid(_("A rule cannot be tried out on this time."), errors={"since": [said_so]})
    # Seconds of reading come before the lock: whoever looks by the rule does not wait for them.
    with at_most(PATIENCE, _too_long):
        found = detection.try_out(seen, [ends - step * number for number in range(count)])
    rule = access_fraud.fraud_rule_for(actor, rule_id)
    if rule.version != seen.version:
        raise NotBacktested(_("The rule was changed meanwhile; try it out again."))
    rule.backtest = to_plain(
        {
            **found,
            "version": rule.version,
            "since": begins,
            "until": ends,
            "looks": count,
            "tried_at": now,
            "tried_by": actor.name,
        }
    )
    _save(rule, "backtest")
    record(actor, "fraud_rule.tried", rule, after={"backtest": rule.backtest})
    return rule


@operation
def switch_fraud_rule(*, rule_id: UUID, active: bool, reason: str, actor: Actor) -> FraudRule:
    """Have a rule look, or not; raises FraudRuleNotFound, Denied, NothingToDo, NotBacktested."""
    rule = access_fraud.fraud_rule_for(actor, rule_id)
    why = said(reason)
    if rule.active == active:
        raise NothingToDo(_("Everything is as it is asked for already."))
    if active and (rule.backtest or {}).get("version") != rule.version:
        raise NotBacktested(_("Nobody has seen yet what this version of the rule would have hit: try it out first."))
    rule.active, rule.looked_at = active, None
    _save(rule, "active", "looked_at")
    verb = "fraud_rule.switched_on" if active else "fraud_rule.switched_off"
    record(actor, verb, rule, before={"active": not active}, after={"active": active}, reason=why)
    _tell(rule, verb, why)
    return rule


def _too_long() -> FraudRuleInvalid:
    told = format_lazy(_("takes longer than {seconds} seconds: begin later"), seconds=int(PATIENCE.total_seconds()))
    return FraudRuleInvalid(_("There is too much to read for this. Nothing was changed."), errors={"since": [told]})


def _checked(kind: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    pattern = pattern_of(kind)
    wrong: dict[str, list[Text]] = {}
    flag = str(facts["flag"]).strip()
    if not 0 < len(flag) <= MAX_FLAG:
        wrong["flag"] = [format_lazy(_("takes 1 to {most} characters"), most=MAX_FLAG)]
    if not 0 < facts["review_hours"] <= MOST_HOURS:
        wrong["review_hours"] = [format_lazy(_("must be 1 to {most}"), most=MOST_HOURS)]
    if wrong:
        raise FraudRuleInvalid(_("This is no fraud rule."), errors=wrong)
    return {
        "limits": checked_limits(pattern, facts["limits"]),
        "allowed_networks": checked_networks(pattern, list(facts["allowed_networks"])),
        "flag": flag,
        "locks": bool(facts["locks"]),
        "review_hours": facts["review_hours"],
    }


def _save(rule: FraudRule, *columns: str) -> None:
    values = {name: getattr(rule, name) for name in columns}
    FraudRule.objects.filter(pk=rule.pk).update(**values, updated_at=Now())


def _tell(rule: FraudRule, topic: str, reason: str) -> None:
    emit(topic, kind=FraudRule._meta.db_table, id=rule.pk, data={"rule": rule.code, "reason": reason})
