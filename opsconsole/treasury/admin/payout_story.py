"""What became of a payout, from the day it came in to what the bank said last; and those that look like it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import display
from opsconsole.core.admin.actions import Button
from opsconsole.core.admin.pages import Section, Table
from opsconsole.core.texts import Text
from opsconsole.plans.models import Plan
from opsconsole.treasury.admin.leading import draft_button, may_see, payment_link
from opsconsole.treasury.admin.moves import OF_PAYMENTS, move_label
from opsconsole.treasury.models import BankFile, BankLine, Instruction, Payout, Transfer
from opsconsole.treasury.payouts.reservations import DUPLICATE_DAYS
from opsconsole.treasury.states import FreezeKind, LineVerdict, PayoutState, TransferKind

SHOWN: Final = 50
MOST_ATTEMPTS: Final = 20
_SAID: Final = {
    LineVerdict.SETTLED: "good",
    LineVerdict.FAILED: "bad",
    LineVerdict.RETURNED: "warn",
    LineVerdict.BREAK: "bad",
    LineVerdict.PENDING: "info",
}


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened to it."""

    at: datetime
    what: Any
    where: Any
    reference: Any = display.NOTHING


def drafts_from(request: HttpRequest, payout: Payout) -> list[Button]:
    """The freezes that people draft about a payout, each with its form filled in."""
    buttons = draft_button(
        request,
        "freeze",
        now_("Freeze the payee %(name)s") % {"name": payout.beneficiary_name},
        _("Nothing is paid to this IBAN until the plan is rolled back."),
        subject=FreezeKind.BENEFICIARY.value,
        id=payout.iban,
    )
    if payout.merchant:
        buttons += draft_button(
            request,
            "freeze",
            now_("Freeze the merchant %(name)s") % {"name": payout.merchant},
            _("Nothing of this merchant is paid until the plan is rolled back."),
            subject=FreezeKind.MERCHANT.value,
            id=payout.merchant,
        )
    return buttons


def story(request: HttpRequest, payout: Payout) -> list[Section]:
    """Everything that happened to it, in the order of time."""
    if not may_see(request, Instruction):
        return []
    happened = sorted(_happened(request, payout), key=lambda one: one.at)
    return [
        Table(
            _("Its story"),
            [_("time"), _("what"), _("where"), _("reference")],
            [[display.moment(one.at), one.what, one.where, one.reference] for one in happened],
        )
    ]


def _happened(request: HttpRequest, payout: Payout) -> Iterator[Happened]:
    yield Happened(payout.created_at, display.label(_("came in")), _("the console"), display.code(payout.external_id))
    instructions = list(
        payout.instructions.select_related("plan", "bank", "step").defer("bank__secret").order_by("-id")[:SHOWN]
    )
    linked = may_see(request, Plan)
    for one in instructions:
        plan: Any = display.row_link(one.plan) if linked else one.plan.name
        yield Happened(one.created_at, display.label(_("taken by a plan")), plan, payment_link(one))
    yield from _moves(request, instructions)
    if may_see(request, BankFile):
        lines = BankLine.objects.filter(instruction__payout=payout).select_related("file").order_by("-id")
        for line in lines[:SHOWN]:
            said = " ".join(part for part in (line.said, line.reason) if part)
            verdict = LineVerdict(line.verdict)
            yield Happened(
                line.file.created_at,
                display.label(now_("the bank said: %(what)s") % {"what": verdict.label}, _SAID.get(verdict, "plain")),
                display.row_link(line.file, f"{line.file.name}:{line.number}"),
                said or display.NOTHING,
            )


def _moves(request: HttpRequest, instructions: list[Instruction]) -> Iterator[Happened]:
    """The money's way in the ledger: each move is booked under the EndToEndId and the attempt, once for ever."""
    by_reference = {
        f"{kind.value}:{one.end_to_end_id}:{attempt}": (kind, one)
        for one in instructions
        for kind in OF_PAYMENTS
        for attempt in range(min(one.step.attempt if one.step else 1, MOST_ATTEMPTS) + 1)
    }
    linked = may_see(request, Transfer)
    for moved in Transfer.objects.filter(reference__in=list(by_reference)).order_by("id"):
        kind, one = by_reference[moved.reference]
        label = move_label(kind)
        reference = one.bank_reference if kind != TransferKind.NOT_SENT else ""
        reason = one.reason if kind in (TransferKind.FAILED, TransferKind.RETURNED) else ""
        yield Happened(
            moved.booked_at,
            display.link(display.row_url(moved), label) if linked else label,
            one.bank.name,
            reason or display.code(reference),
        )


def alike(payout: Payout) -> list[Section]:
    """Payouts of the same amount to the same payee that are due within days of it; nothing where there is none."""
    days = timedelta(days=DUPLICATE_DAYS)
    found = list(
        Payout.objects.filter(iban=payout.iban, amount=payout.amount, currency=payout.currency)
        .filter(due_date__range=(payout.due_date - days, payout.due_date + days))
        .exclude(pk=payout.pk)
        .select_related("plan")
        .order_by("due_date", "id")[: SHOWN + 1]
    )
    if not found:
        return []
    note: Text = now_("Same payee, same amount, due within %(days)s days: is one of them paid twice?") % {
        "days": DUPLICATE_DAYS
    }
    return [
        Table(
            _("Likely duplicates"),
            [_("payout"), _("state"), _("due"), _("remittance"), _("plan")],
            [
                [
                    display.row_link(one),
                    display.state_label(one.status, PayoutState(one.status).label),
                    one.due_date.isoformat(),
                    one.remittance or display.NOTHING,
                    display.row_link(one.plan),
                ]
                for one in found[:SHOWN]
            ],
            note=note,
        )
    ]
