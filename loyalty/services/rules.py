"""Rules of earning: a program's multipliers and caps.

A multiplier does what the earn rate does, so it takes the same two teams; a cap, which only ever holds points back, is
made at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.errors import NothingToDo, PointsInvalid, RuleNameTaken
from loyalty.ledger import MOST_POINTS
from loyalty.models import Program, Rule
from loyalty.reasons import said
from loyalty.states import RuleKind
from opsconsole.approvals import gate
from opsconsole.approvals.gate import Asked, Deed
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.texts import Text
from opsconsole.journal.record import record

PERMISSION: Final = "loyalty.change_program"
MAX_NAME: Final = 100
MOST_TIMES: Final = Decimal(100)
MOST_DAYS: Final = 3660
LAST_YEAR: Final = 2100  # a later date is a mistake, whoever types it
CHANGEABLE: Final = ("name", "multiplier", "cap_points", "period_days", "starts_at", "ends_at", "active")


@operation
def create_rule(
    *,
    program_id: UUID,
    name: str,
    kind: str,
    multiplier: Decimal | None = None,
    cap_points: int | None = None,
    period_days: int | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    reason: str,
    approval_id: UUID | None = None,
    actor: Actor,
) -> Rule | Asked:
    """Have a program multiply what is earned, or cap it for a member and period.

    Raises ProgramNotFound, Denied, PointsInvalid, RuleNameTaken, and what `gate` refuses.
    """
    program, why = access.program_for(actor, program_id, PERMISSION), said(reason)
    facts: dict[str, Any] = {
        "name": name.strip(),
        "kind": kind,
        "multiplier": multiplier,
        "cap_points": cap_points,
        "period_days": period_days,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    _require_sound(facts)
    if Rule.objects.filter(program=program, name=facts["name"]).exists():
        raise _name_taken(facts["name"])
    trace: dict[str, Any] = {}
    if kind == RuleKind.MULTIPLIER:
        answer = _ask(
            program, f"Rule {facts['name']} of {program.name}: times {multiplier}", facts, why, approval_id, actor
        )
        if isinstance(answer, Asked):
            return answer
        trace = {"approval": answer.pk}
    rule = Rule.objects.create(program=program, **facts)
    rule.refresh_from_db()
    record(actor, "rule.created", rule, after={"program": program.name, **facts, **trace}, reason=why)
    _tell(rule, "rule.created", why)
    return rule


@operation
def change_rule(
    *, rule_id: UUID, changes: Mapping[str, Any], reason: str, approval_id: UUID | None = None, actor: Actor
) -> Rule | Asked:
    """Change a rule, switch it off or on again; raises RuleNotFound and as `create_rule` does, NothingToDo."""
    rule, why = access.rule_for(actor, rule_id, PERMISSION), said(reason)
    wanted = {name: value.strip() if name == "name" else value for name, value in changes.items()}
    if unknown := sorted(wanted.keys() - set(CHANGEABLE)):
        raise PointsInvalid(
            _("A rule has no such field."), errors={name: [_("is not to be changed")] for name in unknown}
        )
    _require_sound({"kind": rule.kind, **{name: wanted.get(name, getattr(rule, name)) for name in CHANGEABLE}})
    before = {name: getattr(rule, name) for name, value in wanted.items() if getattr(rule, name) != value}
    if not before:
        raise NothingToDo(_("Everything is as it is asked for already."))
    after, trace = {name: wanted[name] for name in before}, {}
    if rule.kind == RuleKind.MULTIPLIER:
        facts = {"rule": rule.pk, "from": before, "to": after}
        answer = _ask(
            rule.program, f"Change the rule {rule.name} of {rule.program.name}", facts, why, approval_id, actor
        )
        if isinstance(answer, Asked):
            return answer
        trace = {"approval": answer.pk}
    try:
        with transaction.atomic():
            Rule.objects.filter(pk=rule.pk).update(**after, updated_at=Now())
    except IntegrityError as error:
        raise _name_taken(str(wanted.get("name", ""))) from error
    verb = "rule.changed"
    if "active" in after:
        verb = "rule.switched_on" if after["active"] else "rule.switched_off"
    record(actor, verb, rule, before=before, after={**after, **trace}, reason=why)
    rule.refresh_from_db()
    _tell(rule, verb, why)
    return rule


def _ask(
    program: Program, title: str, facts: Mapping[str, Any], reason: str, approval_id: UUID | None, actor: Actor
) -> Request | Asked:
    deed = Deed(
        action="loyalty.earn_rate",
        row=program,
        title=title,
        facts={"program": program.name, **facts},
        reason=reason,
    )
    return gate.pass_or_ask(deed, approval_id=approval_id, actor=actor)


def _require_sound(facts: Mapping[str, Any]) -> None:
    wrong: dict[str, list[Text]] = {}
    if not 0 < len(facts["name"]) <= MAX_NAME:
        wrong["name"] = [format_lazy(_("takes 1 to {most} characters"), most=MAX_NAME)]
    if facts["kind"] not in RuleKind.values:
        wrong["kind"] = [_("is no kind of rule")]
    wrong |= _wrong_multiplier(facts) if facts["kind"] == RuleKind.MULTIPLIER else _wrong_cap(facts)
    for name in ("starts_at", "ends_at"):
        if facts[name] is not None and facts[name].year > LAST_YEAR:
            wrong[name] = [_("is too far away")]
    if facts["starts_at"] and facts["ends_at"] and facts["ends_at"] <= facts["starts_at"]:
        wrong["ends_at"] = [_("must come after its beginning")]
    if wrong:
        raise PointsInvalid(_("This is no rule of earning."), errors=wrong)


def _wrong_multiplier(facts: Mapping[str, Any]) -> dict[str, list[Text]]:
    wrong: dict[str, list[Text]] = {
        name: [_("a multiplier has none")] for name in ("cap_points", "period_days") if facts[name] is not None
    }
    if facts["multiplier"] is None or not 0 < facts["multiplier"] <= MOST_TIMES:
        wrong["multiplier"] = [format_lazy(_("must be more than 0 and at most {most}"), most=MOST_TIMES)]
    return wrong


def _wrong_cap(facts: Mapping[str, Any]) -> dict[str, list[Text]]:
    wrong: dict[str, list[Text]] = {
        name: [format_lazy(_("must be 1 to {most}"), most=most)]
        for name, most in (("cap_points", MOST_POINTS), ("period_days", MOST_DAYS))
        if facts[name] is None or not 0 < facts[name] <= most
    }
    if facts["multiplier"] is not None:
        wrong["multiplier"] = [_("a cap has none")]
    return wrong


def _name_taken(name: str) -> RuleNameTaken:
    return RuleNameTaken(
        format_lazy(_("There is a rule {name} in this program already."), name=name.strip()),
        errors={"name": [_("is taken")]},
    )


def _tell(rule: Rule, topic: str, reason: str) -> None:
    told = {"program": rule.program.name, "rule": rule.name, "reason": reason}
    emit(topic, kind=Rule._meta.db_table, id=rule.pk, data=told)
