"""What does as the earn rate does, asked for and agreed to: another rate, a rule that multiplies, a tier that does.

All of them are asked for on the program and under one policy; what the request says tells which it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.models import Program, Rule, Tier
from loyalty.services import rules, tiers
from loyalty.services.tiers import CHANGE, RATE, TierFacts
from opsconsole.approvals.admin.deeds import CarryOut, asked_or, live_on, must_agree
from opsconsole.approvals.admin.panel import state_of
from opsconsole.approvals.models import Request
from opsconsole.approvals.states import LIVE
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Press
from opsconsole.core.admin.pages import Notice, Section, Table
from opsconsole.core.idempotency import Answer
from opsconsole.core.texts import Text

Row = TypeVar("Row", Tier, Rule)
TIER_FACTS: Final = ("name", "rank", "threshold", "window_months", "multiplier")
RULE_FACTS: Final = ("name", "kind", "multiplier", "cap_points", "period_days", "starts_at", "ends_at")


def redo(press: Press[Any], asked: Mapping[str, Any], approval_id: UUID) -> Answer:
    """Do again what was asked for about a rule or a tier."""
    common: dict[str, Any] = {"reason": press.data["reason"], "approval_id": approval_id, "actor": press.actor}
    if "rule" in asked:
        named, changes = UUID(asked["rule"]), read(asked["to"])
        return rules.change_rule.once(press.key, _rule_changed, rule_id=named, changes=changes, **common)
    if "tier" in asked:
        named, changes = UUID(asked["tier"]), read(asked["to"])
        return tiers.change_tier.once(press.key, tier_changed, tier_id=named, changes=changes, **common)
    program_id = (press.row if isinstance(press.row, Program) else press.row.program).pk
    if "kind" in asked:
        made = read({name: asked[name] for name in RULE_FACTS})
        return rules.create_rule.once(press.key, rule_made, program_id=program_id, **made, **common)
    wanted = TierFacts(**read({name: asked[name] for name in TIER_FACTS}))
    return tiers.define_tier.once(press.key, tier_made, program_id=program_id, facts=wanted, **common)


def read(said: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as the request has them, which is JSON, as services take them."""
    return {name: _read(name, value) for name, value in said.items()}


def _read(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "multiplier":
        return Decimal(value)
    return datetime.fromisoformat(value) if name in ("starts_at", "ends_at") else value


rule_made = asked_or(lambda rule: now_("The rule %(name)s holds.") % {"name": rule.name}, display.row_url)
_rule_changed = asked_or(lambda _rule: now_("The rule is changed."), display.row_url)
tier_made = asked_or(
    lambda tier: now_("The tier %(name)s is defined. Members reach it when they are evaluated.") % {"name": tier.name},
    display.row_url,
)
tier_changed = asked_or(
    lambda _tier: now_("The tier is changed. Members move when they are evaluated."), display.row_url
)


def who_agrees(title: Text = "") -> list[Notice]:
    """Who must agree, and that of a program only one such thing is asked for at a time."""
    told = now_("Of a program one such thing is asked for at a time: what you asked for before is void by it.")
    return [replace(one, title=title or one.title, text=f"{one.text} {told}") for one in must_agree(RATE)]


class CarryOutAbout(CarryOut[Row]):
    """What was agreed to about one tier or rule; the request stands on the program, and names it."""

    def __init__(self, named: str) -> None:
        super().__init__(CHANGE, {RATE: redo})
        self.named = named

    def allowed(self, actor: Actor, row: Row) -> bool:
        """By role, or by a grant on the program."""
        return actor.may(self.permission, row.program)

    def asked_for(self, row: Row) -> QuerySet[Request]:
        """Those about this one."""
        return asked_about(self.named, row)


def asked_about(named: str, row: Tier | Rule) -> QuerySet[Request]:
    """What is asked for about one tier or rule and has not ended."""
    return live_on(row.program).filter(action=RATE, **{f"content__{named}": str(row.pk)})


def asked_table(actor: Actor) -> list[Section]:
    """What is asked for in the programs that the actor sees, and where it is carried out; nothing without any."""
    live = Request.objects.filter(subject_kind=Program._meta.db_table, action=RATE, status__in=LIVE)
    found = list(live.select_related("requested_by").order_by("-created_at"))
    seen = access.visible_programs(actor).filter(pk__in={one.subject_id for one in found}) if found else []
    names = {str(program.pk): program.name for program in seen}
    rows = [
        [
            display.row_link(one),
            one.requested_by.username,
            state_of(one),
            display.moment(one.expires_at),
            display.row_link_of(Program, one.subject_id, names[one.subject_id]),
        ]
        for one in found
        if one.subject_id in names
    ]
    columns = [_("what"), _("asked by"), _("state"), _("until"), _("carried out on the page of")]
    return [Table(_("Asked for"), columns, rows)] if rows else []
