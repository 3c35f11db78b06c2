"""What the page of a fraud rule shows: its limits in words, how right it was, and whom it would have hit."""

from __future__ import annotations

from datetime import UTC, date, datetime

from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext

from loyalty.admin.hit_sections import gist_of
from loyalty.fraud.figures import Precision
from loyalty.fraud.patterns import PATTERNS
from loyalty.models import FraudHit, FraudRule, SiraFeedback
from loyalty.states import HitState
from opsconsole.core.admin import charts, display
from opsconsole.core.admin.pages import Facts, Figures, Link, Notice, Section, Table
from opsconsole.core.texts import Text

HITS_SHOWN = 10


def limits_in_words(rule: FraudRule) -> str:
    """The limits in one line."""
    return " · ".join(
        now_("%(what)s: %(number)s") % {"what": limit.label, "number": display.number(rule.limits[limit.name])}
        for limit in PATTERNS[rule.kind].limits
        if limit.name in rule.limits
    )


def precision_of(rule: FraudRule) -> Precision:
    """What people found of its hits."""
    verdicts = SiraFeedback.objects.filter(rule_code=rule.code)
    return Precision(
        rule.code,
        FraudHit.objects.filter(rule=rule, status=HitState.OPEN).count(),
        verdicts.filter(verdict=HitState.CONFIRMED).count(),
        verdicts.filter(verdict=HitState.DISMISSED).count(),
    )


def percent(share: float | None) -> str:
    """A share for people; nothing before the first verdict."""
    return display.NOTHING if share is None else f"{share * 100:.0f} %"


def precision_figures(rule: FraudRule) -> Figures:
    """How right it was."""
    found, queue = precision_of(rule), display.list_url(FraudHit, rule=rule.code)
    return Figures(
        _("How right it was"),
        [
            (_("precision"), percent(found.precision), ""),
            (_("at least (confidence 95 %)"), percent(found.at_least), ""),
            (_("confirmed"), display.number(found.confirmed), f"{queue}&standing=confirmed"),
            (_("dismissed"), display.number(found.dismissed), f"{queue}&standing=dismissed"),
            (_("to be looked at"), display.number(found.open), f"{queue}&standing=open"),
        ],
    )


def tried_notice(rule: FraudRule) -> list[Section]:
    """That nobody knows yet what this version would hit."""
    if (rule.backtest or {}).get("version") == rule.version:
        return []
    told = _("Nobody has seen yet whom this version would hit. Try it out before it is switched on.")
    return [Notice(told, "warn", _("Not tried out"))]


def tried_section(rule: FraudRule) -> list[Section]:
    """Whom it would have hit on the days on which it was tried; nothing where it was not."""
    found = rule.backtest
    if not found:
        return []
    since, until = (datetime.fromisoformat(found[name]).astimezone(UTC) for name in ("since", "until"))
    counted = {date.fromisoformat(f"{month}-01"): count for month, count in found["by_month"].items()}
    months = _months(since.date(), until.date())
    told = ngettext(
        "%(members)s member from %(since)s to %(until)s.",
        "%(members)s members from %(since)s to %(until)s.",
        found["members"],
    ) % {
        "members": display.number(found["members"]),
        "since": f"{since:%Y-%m-%d}",
        "until": f"{until:%Y-%m-%d}",
    }
    known = found["known"]
    judged = now_("When it was tried, there was no verdict on any of them.")
    if known["confirmed"] or known["dismissed"]:
        judged = now_("Verdicts on them when it was tried: fraud confirmed %(confirmed)s, dismissed %(dismissed)s.") % {
            "confirmed": display.number(known["confirmed"]),
            "dismissed": display.number(known["dismissed"]),
        }
    return [
        charts.chart(
            now_("Whom version %(version)s would have hit") % {"version": found["version"]},
            months,
            [charts.Series(_("members"), charts.BLUE, [float(counted.get(month, 0)) for month in months])],
            summary=f"{told} {judged}",
            form=pgettext("the date format of a month in a chart", "M Y"),
        )
        if found["members"]
        else Notice(told, "info", _("It would have hit nobody"))
    ]


def _months(since: date, until: date) -> list[date]:
    found, month = [], since.replace(day=1)
    while month <= until:
        found.append(month)
        month = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return found


def _hours(hours: int) -> str:
    return ngettext("%(hours)s hour", "%(hours)s hours", hours) % {"hours": display.number(hours)}


def limits_facts(rule: FraudRule) -> Facts:
    """What it looks for, and what it does."""
    pattern = PATTERNS[rule.kind]
    facts: list[tuple[Text, Text]] = [
        (limit.label, display.number(rule.limits[limit.name])) for limit in pattern.limits
    ]
    if pattern.has_networks:
        facts.append((_("networks that are left out"), ", ".join(rule.allowed_networks) or _("none")))
    return Facts(
        _("Rule"),
        [
            (_("kind"), pattern.label),
            *facts,
            (_("flag"), rule.flag),
            (_("locks points"), display.yes_no(rule.locks)),
            (_("a verdict is due within"), _hours(rule.review_hours)),
            (_("version"), rule.version),
            (_("last looked"), display.moment(rule.looked_at)),
            (_("last changed"), display.moment(rule.updated_at)),
        ],
    )


def hits_table(rule: FraudRule) -> Table:
    """Its newest hits."""
    rows = FraudHit.objects.filter(rule=rule).select_related("balance", "rule").order_by("-id")
    found = list(rows[: HITS_SHOWN + 1])
    more = Link(display.list_url(FraudHit, rule=rule.code), _("All of its hits")) if len(found) > HITS_SHOWN else None
    return Table(
        _("Its newest hits"),
        [_("member"), _("stands out by"), _("state"), _("found")],
        [
            [
                display.row_link(one, display.whole(one.balance.user_id)),
                gist_of(one),
                one.state.label,
                display.moment(one.found_at),
            ]
            for one in found[:HITS_SHOWN]
        ],
        empty=_("None."),
        more=more,
    )
