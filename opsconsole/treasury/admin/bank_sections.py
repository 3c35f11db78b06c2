"""What the page of a bank is made of: what is on its way, how it answers, what closed it, what went through it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import charts, display
from opsconsole.core.admin.actions import Button
from opsconsole.core.admin.pages import Column, Figures, Notice, Section, Table
from opsconsole.journal.record import Subject
from opsconsole.plans.models import Plan
from opsconsole.treasury import movements
from opsconsole.treasury.admin.leading import draft_button, may_see, payment_link
from opsconsole.treasury.admin.moves import move_label
from opsconsole.treasury.models import Account, Alteration, Bank, Freeze, Instruction
from opsconsole.treasury.states import AccountKind, AccountState, BankState, InstructionState, TransferKind

PAUSES_SHOWN: Final = 10


def drafts_from(request: HttpRequest, bank: Bank, accounts: Sequence[Account]) -> list[Button]:
    """The plans that people draft about a bank, each with its form filled in."""
    named = {"name": bank.name}
    buttons: list[Button] = []
    if bank.status == BankState.ACTIVE:
        buttons += draft_button(
            request,
            "pause_bank",
            now_("Pause %(name)s") % named,
            _("Nothing new goes to it until the plan is rolled back."),
            bank=bank.code,
        )
    buttons += draft_button(
        request,
        "failover",
        now_("Failover away from %(name)s") % named,
        _("Lead its corridors through another bank."),
        from_bank=bank.code,
    )
    settlement = [one for one in accounts if one.kind == AccountKind.SETTLEMENT]
    currency = {"currency": settlement[0].currency} if settlement else {}
    return buttons + draft_button(
        request,
        "sweep",
        now_("Sweep the accounts at %(name)s") % named,
        _("Move what they hold to one account."),
        source_bank=bank.code,
        **currency,
    )


def closures(request: HttpRequest, bank: Bank) -> list[Section]:
    """A notice while it is paused, by which plan and why, and how that ends."""
    if bank.status != BankState.PAUSED:
        return []
    title = now_("Paused: nothing new goes to it")
    last = _alterations(bank).select_related("plan").first()
    if last is None or not may_see(request, Plan):
        return [Notice(now_("Rolling back the plan that paused it opens it again."), "warn", title)]
    text = format_html(
        now_("By the plan {}, on {}: {} It is opened again by rolling that plan back."),
        display.row_link(last.plan),
        display.moment(last.made_at),
        str(last.plan.payload.get("reason", "")),
    )
    return [Notice(text, "warn", title)]


def on_its_way(bank: Bank) -> Section:
    """Payments through it that have not ended: how many, how much, since when."""
    going = movements.in_flight(bank.pk)
    return Table(
        _("On its way"),
        [_("state"), Column(_("count"), right=True), Column(_("in all"), right=True), _("the oldest since")],
        [
            [
                display.state_label(one.status, InstructionState(one.status).label),
                now_("%(count)s or more") % {"count": display.number(one.count)}
                if one.capped
                else display.number(one.count),
                display.NOTHING if one.capped else display.money(one.amount, one.currency),
                display.moment(one.oldest),
            ]
            for one in going
        ],
        empty=_("Nothing: every payment through it has ended."),
    )


def figures(bank: Bank, accounts: Sequence[Account]) -> Section:
    """What stands on its accounts, by currency."""
    held: dict[str, Decimal] = {}
    for account in accounts:
        if account.kind == AccountKind.SETTLEMENT:
            held[account.currency] = held.get(account.currency, Decimal(0)) + account.ledger_balance
    frozen = sum(account.status == AccountState.FROZEN for account in accounts)
    return Figures(
        _("Now"),
        [
            (_("state"), bank.state.label, ""),
            (_("on its settlement accounts"), display.sums(held), ""),
            (_("frozen accounts"), display.number(frozen), ""),
        ],
    )


def payments_chart(accounts: Sequence[Account]) -> Section:
    """What was sent through it and what arrived, day by day."""
    today = datetime.now(tz=UTC).date()
    transit = [one.pk for one in accounts if one.kind == AccountKind.IN_TRANSIT]
    paid = [one.pk for one in accounts if one.kind == AccountKind.PAID_OUT]
    sent, arrived = movements.by_day(transit, today=today), movements.by_day(paid, today=today)
    shown = min(len(sent), len(arrived))
    sent, arrived = sent[len(sent) - shown :], arrived[len(arrived) - shown :]
    return charts.chart(
        now_("Payments, last %(days)s days") % {"days": shown},
        [one.day for one in sent],
        [
            charts.Series(_("sent"), charts.BLUE, [one.came for one in sent]),
            charts.Series(_("arrived at payees"), charts.GREEN, [one.came for one in arrived]),
        ],
        stacked=False,
    )


def answers(bank: Bank) -> Section:
    """What became of the last payments through it."""
    return Table(
        _("How it answered last"),
        [_("what"), Column(_("of the last %(count)s") % {"count": movements.ANSWERS}, right=True), _("last time")],
        [
            [
                move_label(TransferKind(one.kind)),
                display.number(one.count),
                display.moment(one.last),
            ]
            for one in movements.last_answers(bank.pk)
        ],
        empty=_("Nothing has gone through it yet."),
    )


def refusals(request: HttpRequest, bank: Bank) -> list[Section]:
    """The last payments whose money came back, with the bank's reason."""
    if not may_see(request, Instruction):
        return []
    found = movements.last_refusals(bank.pk)
    known = {
        one.end_to_end_id: one
        for one in Instruction.objects.filter(end_to_end_id__in=[end_to_end for _kind, end_to_end, _at in found])
    }
    return [
        Table(
            _("Last payments that came back"),
            [_("payment"), _("what"), _("reason"), Column(_("amount"), right=True), _("at")],
            [
                [
                    payment_link(one) if (one := known.get(end_to_end)) else display.code(end_to_end),
                    move_label(TransferKind(kind)),
                    (one.reason if one else "") or display.NOTHING,
                    display.money(one.amount, one.currency) if one else display.NOTHING,
                    display.moment(at),
                ]
                for kind, end_to_end, at in found
            ],
            empty=now_("None among the last %(count)s.") % {"count": movements.ANSWERS},
        )
    ]


def _bank_state(was: Mapping[str, Any]) -> SafeString:
    state = str(was.get("status", ""))
    return display.state_label(state, BankState(state).label if state in BankState.values else "")


def closing_history(request: HttpRequest, bank: Bank) -> list[Section]:
    """The plans that paused and opened it, and the freezes on its accounts."""
    told: list[Section] = []
    if may_see(request, Plan):
        made = list(_alterations(bank).select_related("plan")[:PAUSES_SHOWN])
        told.append(
            Table(
                _("Paused and opened"),
                [_("plan"), _("was"), _("became"), _("at")],
                [
                    [
                        display.row_link(one.plan),
                        _bank_state(one.before),
                        _bank_state(one.after),
                        display.moment(one.made_at),
                    ]
                    for one in made
                ],
                empty=_("No plan has ever paused it."),
            )
        )
    if may_see(request, Freeze):
        live = Freeze.objects.filter(account__bank=bank, lifted_at=None).select_related("account", "plan")
        told.append(
            Table(
                _("Frozen accounts"),
                [_("account"), _("reason"), _("plan"), _("since")],
                [
                    [display.row_link(one.account), one.reason, display.row_link(one.plan), display.moment(one.set_at)]
                    for one in live.order_by("-id")[:PAUSES_SHOWN]
                ],
                empty=_("None of its accounts is frozen."),
            )
        )
    return told


def _alterations(bank: Bank) -> QuerySet[Alteration]:
    about = Subject.of(bank)
    return Alteration.objects.filter(subject_kind=about.kind, subject_id=about.id).order_by("-id")
