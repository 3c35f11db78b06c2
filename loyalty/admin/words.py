"""The names of loyalty's facts in the journal and approvals, and what timelines tell of what is done bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from loyalty.models import Dispute
from opsconsole.core.admin import display
from opsconsole.core.admin.display import register_link, register_words
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import register_detail

register_words(
    {
        "audience": _("audience"),
        "awarded": _("members awarded"),
        "backtest": _("tried out"),
        "bonus_points": _("points, or percent"),
        "broken": _("what does not verify"),
        "budget": _("budget"),
        "budget_limit": _("budget"),
        "by_month": _("by month"),
        "campaign": _("campaign"),
        "campaign_type": _("gives"),
        "cap_points": _("at most, in points"),
        "chunk": _("chunk"),
        "claim": _("the member says"),
        "codes": _("codes"),
        "confirmed": _("confirmed"),
        "dismissed": _("dismissed"),
        "dispute": _("dispute"),
        "downgraded": _("down"),
        "drift": _("differences"),
        "earn_rate": _("earn rate"),
        "end_date": _("ends"),
        "estimated_points": _("points, estimated"),
        "estimated_users": _("members, estimated"),
        "excluded": _("left out"),
        "fraud_flags": _("flags"),
        "given_in_tests": _("given in test runs"),
        "happened_at": _("made, the member says"),
        "head": _("digest of its beginning"),
        "hits": _("hits"),
        "in_grace": _("in grace"),
        "in_segment": _("members in the segment"),
        "is_frozen": _("frozen"),
        "known": _("known"),
        "left": _("left"),
        "left_after": _("left afterwards"),
        "limits": _("limits"),
        "locked": _("locked"),
        "looks": _("looks"),
        "made": _("codes made"),
        "member": _("member"),
        "members": _("members"),
        "members_affected": _("members affected"),
        "members_short": _("members who had spent some"),
        "min_points": _("from, in points"),
        "months": _("months"),
        "multiplier": _("multiplier"),
        "no_points": _("would get no points"),
        "ordinals": _("members, by their place"),
        "origin_txn_id": _("purchase"),
        "paid": _("spent"),
        "per_member": _("at most for one member"),
        "period_days": _("in so many days"),
        "points": _("points"),
        "points_locked": _("points locked"),
        "points_released": _("points free again"),
        "points_spent": _("points spent already"),
        "points_taken_back": _("points taken back"),
        "points_valid_months": _("points are valid for, in months"),
        "preview": _("preview"),
        "program": _("program"),
        "program_id": _("id of the program"),
        "rank": _("rank"),
        "refused": _("refused"),
        "review_hours": _("hours until a verdict is due"),
        "rows": _("rows"),
        "rule": _("rule"),
        "rule_version": _("digest of the tiers"),
        "segment": _("segment"),
        "spent": _("spent"),
        "start_date": _("starts"),
        "stock": _("in stock"),
        "stretches": _("stretches of the ledger"),
        "target_segment": _("segment"),
        "tested": _("awarded in a test run"),
        "threshold": _("from, in points"),
        "ticket": _("ticket"),
        "tier": _("tier"),
        "times": _("times"),
        "total_points_awarded": _("points awarded"),
        "transaction": _("transaction"),
        "transactions": _("transactions"),
        "tried_at": _("tried on"),
        "tried_by": _("tried by"),
        "upgraded": _("up"),
        "user_id": _("member"),
        "users_awarded": _("members awarded"),
        "valid_from": _("valid from"),
        "window_end": _("window to"),
        "window_months": _("earned within, in months"),
        "window_start": _("window from"),
        "withdrawn_at": _("withdrawn"),
        "within_budget": _("within the budget"),
    }
)

register_link("dispute", Dispute, lambda pk: display.row_url_of(Dispute, pk))


def in_points(count: int) -> str:
    """So many points, in words."""
    return ngettext("%(count)s point", "%(count)s points", count) % {"count": display.number(count)}


def in_members(count: int) -> str:
    """So many members, in words."""
    return ngettext("%(count)s member", "%(count)s members", count) % {"count": display.number(count)}


def _of_chunk(no: int, members: int) -> Text:
    if no < 1:  # the test runs come before the first chunk
        return now_("test run")
    return now_("chunk %(no)s, %(members)s") % {"no": display.number(no), "members": in_members(members)}


def _awarded(after: Mapping[str, Any]) -> Text:
    return _of_chunk(after["chunk"], after["awarded"])


def _imported(after: Mapping[str, Any]) -> Text:
    first, last = after["lines"]
    told = now_("lines %(first)s to %(last)s of %(source)s, %(points)s")
    return told % {
        "first": display.number(first),
        "last": display.number(last),
        "source": after["source"],
        "points": in_points(after["points"]),
    }


def _expired(after: Mapping[str, Any]) -> Text:
    told = now_("%(points)s of %(members)s")
    return told % {"points": in_points(after["points"]), "members": in_members(after["members"])}


def _taken_back(after: Mapping[str, Any]) -> Text:
    return _of_chunk(after["chunk"], after["members_affected"])


register_detail("campaign.awarded", _awarded)
register_detail("campaign.taken_back", _taken_back)
register_detail("points.expired", _expired)
register_detail("purchases.imported", _imported)
