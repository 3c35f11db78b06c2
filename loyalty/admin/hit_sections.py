"""What the page of a fraud hit shows: the numbers against the limits, a picture, the movements, who else was there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from loyalty import access
from loyalty.errors import FraudRuleInvalid
from loyalty.fraud import picture
from loyalty.fraud.severity import Severity, excesses, limits_then
from loyalty.models import Balance, FraudHit, SiraFeedback, Transaction
from loyalty.patience import at_most
from opsconsole.core.actors import Actor
from opsconsole.core.admin import charts, display
from opsconsole.core.admin.pages import Column, Facts, Figures, Link, Notice, Section, Table
from opsconsole.core.texts import Text

PATIENCE: Final = timedelta(
    seconds=3
)  # for what reads everybody's movements; the rest of the page does not wait for it
MOVEMENTS_SHOWN: Final = 30
TONES: Final = {Severity.LOW: "plain", Severity.MEDIUM: "warn", Severity.HIGH: "bad"}
DAY: Final = timedelta(days=1)
BUTTONS: Final[tuple[tuple[str, Text], ...]] = (
    ("freeze", _("Freeze the member")),
    ("lock", _("Lock the member's points")),
    ("flag", _("Flag the member")),
)


def severity_label(over: float | None) -> SafeString | str:
    """How far over the limit, in its colour."""
    if over is None:
        return display.NOTHING
    severity = Severity.of(over)
    return display.label(severity.label, TONES[severity])


def figure(value: float) -> str:
    """A number as people read it: with a decimal only where it has one."""
    return display.number(int(value)) if value == int(value) else number_format(value, 1, force_grouping=True)


def times(over: float) -> str:
    """How many times the limit."""
    return f"{number_format(over, 1, force_grouping=True)} ×"


def gist_of(hit: FraudHit, limits: Mapping[str, int] | None = None) -> str:
    """In half a line what made the member stand out, against today's limits where none are given."""
    found = excesses(hit.rule.kind, hit.facts, hit.rule.limits if limits is None else limits)
    if not found:
        return display.NOTHING
    worst = found[0]
    return now_("%(found)s %(what)s, limit %(limit)s") % {
        "found": figure(worst.found),
        "what": worst.measure.label,
        "limit": figure(worst.limit),
    }


def why_table(hit: FraudHit) -> Table:
    """Each number that the rule has a limit for, with the limit that it had then."""
    then = limits_then(hit.rule, hit.rule_version)
    told = now_("%(rule)s, version %(version)s, looked at the %(hours)s hours before %(time)s.") % {
        "rule": hit.rule.code,
        "version": hit.rule_version,
        "hours": display.number(then["hours"]),
        "time": f"{hit.as_of:%Y-%m-%d %H:%M} UTC",
    }
    if hit.rule.kind == "spike" and "usual" in hit.facts:
        more = now_("%(points)s points were earned; usual are %(usual)s.")
        usual = {"points": figure(float(hit.facts["points"])), "usual": figure(float(hit.facts["usual"]))}
        told = f"{told} {more % usual}"
    if hit.rule.kind == "address" and "address" in hit.facts:
        told = " ".join([told, now_("The address is %(address)s.") % {"address": hit.facts["address"]}])
    changed = hit.rule_version != hit.rule.version
    columns: list[Column | Text] = [
        _("measured"),
        Column(_("found"), right=True),
        Column(_("limit"), right=True),
        Column(_("found / limit"), right=True),
    ]
    if changed:
        columns.append(Column(_("limit today"), right=True))
    rows = [
        [one.measure.label, figure(one.found), figure(one.limit), _ratio(one.over)]
        + ([figure(hit.rule.limits[one.measure.limit])] if changed else [])
        for one in excesses(hit.rule.kind, hit.facts, then)
    ]
    return Table(_("Why the rule hit"), columns, rows, empty=_("The facts were erased with the member."), note=told)


def _ratio(over: float) -> SafeString | str:
    return display.label(times(over), TONES[Severity.of(over)]) if over > 1 else now_("within")


def course_chart(hit: FraudHit) -> list[Section]:
    """The rule's windows before the hit, a bar each, with the limit across them."""
    try:
        with at_most(PATIENCE, _slow):
            course = picture.course_of(hit, limits_then(hit.rule, hit.rule_version))
    except FraudRuleInvalid as slow:
        return [Notice(slow.told, "info")]
    if course is None:
        return []
    by_day = course.window % DAY == timedelta()
    form = "" if by_day else pgettext("the date format of a moment in a chart", "j M H:i")
    stretch = (
        now_("each bar is the 24 hours before %(clock)s UTC") % {"clock": f"{hit.as_of:%H:%M}"}
        if course.window == DAY
        else now_("each bar is %(time)s") % {"time": display.duration(course.window)}
    )
    told = now_("The last bar is what the rule saw: %(found)s; the limit is %(limit)s.") % {
        "found": figure(course.values[-1]),
        "limit": figure(course.limit),
    }
    return [
        charts.chart(
            now_("%(what)s; %(stretch)s") % {"what": str(course.what).capitalize(), "stretch": stretch},
            course.ends,
            [
                charts.Series(course.what, charts.BLUE, list(course.values)),
                charts.Series(_("limit"), charts.ORANGE, [course.limit] * len(course.values), is_limit=True),
            ],
            summary=told,
            form=form,
        )
    ]


def _slow() -> FraudRuleInvalid:
    return FraudRuleInvalid(_("The ledger answers slowly; this part of the page is left out. Look again later."))


def member_figures(hit: FraudHit) -> Figures:
    """What the member has."""
    member = hit.balance
    return Figures(
        _("The member's points"),
        [
            (_("balance"), display.number(member.points_balance), ""),
            (_("locked"), display.number(member.locked), ""),
            (_("locked by this hit"), display.number(hit.points_locked), ""),
            (_("can be redeemed"), display.number(0 if member.is_frozen else member.available), ""),
        ],
    )


def movements_table(actor: Actor, hit: FraudHit) -> Table:
    """What the member did in the hours that the rule looked at, as far as the viewer may see it."""
    hours = limits_then(hit.rule, hit.rule_version)["hours"]
    rows = access.visible_transactions(actor).filter(
        balance__in=picture.counted_together(hit),
        created_at__gte=hit.as_of - timedelta(hours=hours),
        created_at__lt=hit.as_of,
    )
    found = list(rows.order_by("-created_at", "-id")[: MOVEMENTS_SHOWN + 1])
    more = None
    if len(found) > MOVEMENTS_SHOWN:
        more = Link(display.list_url(Transaction, balance__id__exact=hit.balance_id), _("All transactions"))
    return Table(
        _("What the member did in these hours"),
        [_("time"), _("what"), Column(_("points"), right=True), _("address"), _("origin")],
        [
            [
                display.moment(one.created_at),
                display.row_link(one, one.get_event_type_display()),
                display.signed(one.amount),
                display.code(one.ip_address or ""),
                display.code(one.origin_txn_id or ""),
            ]
            for one in found[:MOVEMENTS_SHOWN]
        ],
        empty=_("Nothing that you may see."),
        more=more,
    )


def neighbours_table(actor: Actor, hit: FraudHit) -> list[Section]:
    """Who else used the same addresses; those of programs that the viewer may not see are left out."""
    window = timedelta(hours=limits_then(hit.rule, hit.rule_version)["hours"])
    try:
        with at_most(PATIENCE, _slow):
            found = picture.neighbours_of(hit, window)
    except FraudRuleInvalid as slow:
        return [Notice(slow.told, "info")]
    seen = set(
        access.visible_members(actor).filter(pk__in=[one.balance_id for one in found]).values_list("pk", flat=True)
    )
    return [
        Table(
            _("Others on the same addresses in these hours"),
            [
                _("member"),
                _("address"),
                Column(_("transactions"), right=True),
                Column(_("points"), right=True),
                _("standing"),
            ],
            [
                [
                    display.row_link_of(Balance, one.balance_id, display.whole(one.user_id)),
                    display.code(one.address),
                    display.number(one.movements),
                    display.signed(one.points),
                    standing_of(is_frozen=one.is_frozen, flags=one.flags),
                ]
                for one in found
                if one.balance_id in seen
            ],
            empty=_("Nobody."),
        )
    ]


def standing_of(*, is_frozen: bool, flags: object) -> SafeString | str:
    """Whether they are frozen, or flagged."""
    if is_frozen:
        return display.label(_("frozen"), "bad")
    return display.label(_("flagged"), "warn") if flags else display.label(_("open"), "good")


def member_facts(actor: Actor, hit: FraudHit) -> Facts:
    """Who it is, and where to stop them."""
    member = hit.balance
    facts: list[tuple[Text, object]] = [
        (_("member"), display.row_link_of(Balance, member.pk, member.user_id)),
        (_("program"), display.row_link(member.program)),
        (_("standing"), standing_of(is_frozen=member.is_frozen, flags=member.fraud_flags)),
        (_("flags"), ", ".join(map(str, member.fraud_flags)) or display.NOTHING),
        (_("member since"), display.moment(member.joined_at)),
    ]
    if actor.may("loyalty.freeze_member", member.program):
        names = [one for one in BUTTONS if one[0] != "freeze" or not member.is_frozen]
        links = [display.link(reverse(f"admin:loyalty_balance_{name}", args=[member.pk]), text) for name, text in names]
        facts.append((_("without a verdict"), format_html_join(" · ", "{}", ((link,) for link in links))))
    return Facts(_("Member"), facts)


def other_hits_table(hit: FraudHit) -> Table:
    """What else this member was hit for."""
    rows = FraudHit.objects.filter(balance=hit.balance_id).exclude(pk=hit.pk).select_related("rule").order_by("-id")
    return Table(
        _("Other hits on the member"),
        [_("rule"), _("found"), _("state")],
        [[display.row_link(one, one.rule.code), display.moment(one.found_at), one.state.label] for one in rows[:10]],
        empty=_("None."),
    )


def verdict_facts(hit: FraudHit) -> list[Section]:
    """What somebody found; nothing before that."""
    verdict = SiraFeedback.objects.filter(hit=hit).select_related("given_by").first()
    if verdict is None:
        return []
    return [
        Facts(
            _("Verdict"),
            [
                (_("verdict"), hit.state.label),
                (_("comment"), display.prose(verdict.comment)),
                (_("by"), verdict.given_by.username),
                (_("when"), display.moment(verdict.created_at)),
            ],
        )
    ]
