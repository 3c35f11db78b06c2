"""Verdicts on fraud, as they go back to SIRA: only to be read."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty import access_fraud
from loyalty.models import Balance, FraudRule, SiraFeedback
from loyalty.states import HitState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.base import ConsoleAdmin
from opsconsole.core.admin.filters import Since
from opsconsole.core.admin.pages import Facts, Section
from opsconsole.core.texts import Text


@admin.register(SiraFeedback)
class VerdictAdmin(ConsoleAdmin[SiraFeedback]):
    """Verdicts, the newest first."""

    list_display = ("given_at", "shown", "member", "rule", "said", "by")
    nothing = _("Nobody has given a verdict yet: they are given on the hits of fraud rules.")
    list_filter = ("verdict", Since.by("created_at"))
    list_select_related = ("balance", "given_by")
    ordering = ("-id",)
    search_help_text = _("A member's id or the name of a rule, in full")

    def visible(self, actor: Actor) -> QuerySet[SiraFeedback]:
        """The verdicts on members the actor may see."""
        return access_fraud.visible_verdicts(actor)

    def get_search_fields(self, _request: HttpRequest) -> tuple[str, ...]:
        """So that there is a field to search in."""
        return ("rule_code",)

    def find(self, rows: QuerySet[SiraFeedback], words: str) -> QuerySet[SiraFeedback]:
        """By the rule or the member."""
        return rows.filter(rule_code=words) | rows.filter(balance__user_id=words)

    @admin.display(description=_("time"))
    def given_at(self, row: SiraFeedback) -> SafeString | str:
        """When."""
        return display.moment(row.created_at)

    @admin.display(description=_("verdict"))
    def shown(self, row: SiraFeedback) -> SafeString:
        """What was found."""
        return display.label(HitState(row.verdict).label, "bad" if row.verdict == HitState.CONFIRMED else "good")

    @admin.display(description=_("member"))
    def member(self, row: SiraFeedback) -> SafeString | str:
        """On whom."""
        return display.whole(row.balance.user_id)

    @admin.display(description=_("rule"))
    def rule(self, row: SiraFeedback) -> str:
        """By which rule."""
        return row.rule_code

    @admin.display(description=_("comment"))
    def said(self, row: SiraFeedback) -> SafeString | str:
        """Why."""
        return display.prose(row.comment)

    @admin.display(description=_("by"))
    def by(self, row: SiraFeedback) -> str:
        """Who."""
        return row.given_by.username

    def heading(self, row: SiraFeedback) -> Text:
        """On whom, and by which rule."""
        return now_("%(member)s, by %(rule)s") % {"member": row.balance.user_id, "rule": row.rule_code}

    def badge(self, row: SiraFeedback) -> SafeString:
        """What was found."""
        return self.shown(row)

    def sections(self, _request: HttpRequest, row: SiraFeedback) -> Sequence[Section]:
        """All of it."""
        rule = FraudRule.objects.filter(code=row.rule_code).first()
        return [
            Facts(
                _("Verdict"),
                [
                    (_("verdict"), HitState(row.verdict).label),
                    (_("comment"), display.prose(row.comment)),
                    (_("member"), display.row_link_of(Balance, row.balance_id, row.balance.user_id)),
                    (_("rule"), display.row_link(rule) if rule else row.rule_code),
                    (_("hit"), display.row_link(row.hit, _("the hit")) if row.hit else display.NOTHING),
                    (_("by"), row.given_by.username),
                    (_("when"), display.moment(row.created_at)),
                ],
            )
        ]
