"""A member's life: the balance over time, and all that happened to them in one order, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from loyalty import access, access_fraud, lives
from loyalty.admin.words import in_points
from loyalty.models import Balance, Dispute, FraudHit, SiraFeedback, TierSnapshot, Transaction
from loyalty.states import HitState
from opsconsole.core.actors import Actor
from opsconsole.core.admin import charts, display
from opsconsole.core.admin.base import actor_of
from opsconsole.core.admin.pages import Fragment, Link, Section
from opsconsole.core.errors import Denied
from opsconsole.core.texts import Text
from opsconsole.journal.admin.timeline import actor_text, verb_label
from opsconsole.journal.models import Entry
from opsconsole.journal.selectors import entries_of

SHOWN: Final = 20
PAGES: Final = 100  # whoever looks for older ones narrows the list of transactions
PAGE: Final = "happened"  # the parameter of the page
# What the ledger and the dispute itself tell as well.
TOLD_ELSEWHERE: Final = ("points.adjusted", "points.reversed", "dispute.refused")


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened: when, of what kind (its icon), in words, and the points that came or went by it."""

    at: datetime
    icon: str
    what: Text
    points: str = ""
    detail: Text = ""


def balance_chart(member: Balance) -> list[Section]:
    """The balance over time, from the first movement to the last: also one of thirty years ago.

    Of a single day there is no picture: a dot says less than the figures above it.
    """
    line = lives.balance_of(member)
    if len(line.points) == 1:
        return []
    form = pgettext("the date format of a month in a chart", "M Y") if line.step == "month" else ""
    summary: Text = _("No points have moved.")
    if line.points:
        summary = now_("%(balance)s points since %(day)s.") % {
            "balance": display.number(line.points[-1].balance),
            "day": f"{line.last:%Y-%m-%d}",
        }
    chart = charts.chart(
        _("Balance over time"),
        [one.day for one in line.points],
        [charts.Series(_("balance"), charts.BLUE, [float(one.balance) for one in line.points])],
        kind="line",
        summary=summary,
        form=form or pgettext("the date format of a day with its year in a chart", "j M Y"),
    )
    return [chart]


def timeline(request: HttpRequest, member: Balance) -> Fragment:
    """Movements, changes of tier, freezes, flags, fraud hits and disputes, the newest first."""
    page = _page_asked_for(request)
    first = (page - 1) * SHOWN
    everything = _happenings(member, actor_of(request), first + SHOWN + 1)
    found = list(islice(everything, first, first + SHOWN + 1))
    older = len(found) > SHOWN and page < PAGES
    return Fragment(
        "console/loyalty/life.html",
        _("What happened"),
        {
            "happenings": found[:SHOWN],
            "newer": f"?{urlencode({PAGE: page - 1})}#life" if page > 1 else "",
            "older": f"?{urlencode({PAGE: page + 1})}#life" if older else "",
            "page": page,
        },
        more=Link(display.list_url(Transaction, balance__id__exact=member.pk), _("All transactions")),
    )


def _page_asked_for(request: HttpRequest) -> int:
    said = request.GET.get(PAGE, "")
    return min(max(int(said), 1), PAGES) if said.isascii() and said.isdecimal() else 1


def _happenings(member: Balance, actor: Actor, most: int) -> Iterator[Happening]:
    """So many of each kind at most, by an index each; put together in the order of time."""
    found: list[Happening] = []
    for kind in (_movements, _tiers, _entries, _hits, _verdicts, _disputes):
        try:
            found += kind(member, actor, most)
        except Denied:
            continue  # none of the viewer's business
    return iter(sorted(found, key=lambda one: one.at, reverse=True)[:most])


def _movements(member: Balance, actor: Actor, most: int) -> Iterator[Happening]:
    rows = access.visible_transactions(actor).filter(balance=member).order_by("-created_at", "-id")
    for one in rows[:most]:
        what = display.row_link(one, one.get_event_type_display())
        detail = _with_reason(one.actor or "", one.reason or "")
        yield Happening(one.created_at, _ICONS[one.event_type], what, display.signed(one.amount), detail)


def _tiers(member: Balance, actor: Actor, most: int) -> Iterator[Happening]:
    rows: QuerySet[TierSnapshot] = access.visible_snapshots(actor).filter(balance=member)
    for one in rows.order_by("-created_at", "-id")[:most]:
        told = now_("tier: %(was)s → %(now)s") % {
            "was": one.was.name if one.was else display.NOTHING,
            "now": one.now.name if one.now else display.NOTHING,
        }
        points = now_("%(points)s in the window") % {"points": in_points(one.points_in_window)}
        yield Happening(one.created_at, "swap_vert", display.row_link(one, told), detail=points)


def _entries(member: Balance, _actor: Actor, most: int) -> Iterator[Happening]:
    for one in entries_of(member).exclude(verb__in=TOLD_ELSEWHERE)[:most]:
        detail = _with_reason(actor_text(one.actor_kind, one.actor_name), one.content["reason"])
        yield Happening(one.at, "history", display.row_link_of(Entry, one.pk, verb_label(one.verb)), detail=detail)


def _hits(member: Balance, actor: Actor, most: int) -> Iterator[Happening]:
    rows: QuerySet[FraudHit] = access_fraud.visible_hits(actor).filter(balance=member).order_by("-found_at", "-id")
    for one in rows[:most]:
        told = now_("fraud rule %(rule)s hit") % {"rule": one.rule.code}
        yield Happening(one.found_at, "policy_alert", display.row_link(one, told), detail=one.state.label)


def _verdicts(member: Balance, actor: Actor, most: int) -> Iterator[Happening]:
    rows: QuerySet[SiraFeedback] = access_fraud.visible_verdicts(actor).filter(balance=member)
    for one in rows.order_by("-created_at", "-id")[:most]:
        told = now_("verdict on fraud: %(verdict)s") % {"verdict": HitState(one.verdict).label}
        detail = f"{one.given_by.username}: {one.comment}"
        yield Happening(one.created_at, "gavel", display.row_link(one, told), detail=detail)


def _disputes(member: Balance, actor: Actor, most: int) -> Iterator[Happening]:
    rows: QuerySet[Dispute] = access_fraud.visible_disputes(actor).filter(balance=member).order_by("-created_at", "-id")
    for one in rows[:most]:
        opened = now_("dispute %(ticket)s opened") % {"ticket": one.ticket}
        yield Happening(one.created_at, "contact_support", display.row_link(one, opened), detail=one.claim)
        if one.decided_at is not None:
            ended = now_("dispute %(ticket)s: %(state)s") % {"ticket": one.ticket, "state": one.state.label}
            yield Happening(one.decided_at, "contact_support", display.row_link(one, ended), detail=one.verdict)


def _with_reason(who: str, why: str) -> str:
    return ": ".join(word for word in (who, why) if word)


_ICONS: Final = {
    "earn": "add_circle",
    "bonus": "redeem",
    "redeem": "shopping_bag",
    "reverse": "undo",
    "adjust": "tune",
    "expire": "event_busy",
}
