"""What there is to be found about a purchase, as the page of a dispute shows it."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from loyalty.disputes.evidence import AROUND, Answer, Evidence
from loyalty.models import Balance, Dispute, Transaction
from loyalty.states import EventType
from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Column, Notice, Table
from opsconsole.core.texts import Text
from opsconsole.journal.admin.verbs import words_of

# What follows from the answer (runbook 3): the points are due, they are not, or somebody has to ask the shop.
_THEN: Final[dict[Answer, tuple[str, Text]]] = {
    Answer.AWARDED: ("good", _("The member has the points: refuse the claim, and say when they were booked.")),
    Answer.TAKEN_BACK: ("warn", _("See why they were taken back before you give them again.")),
    Answer.TO_ANOTHER: ("warn", _("The shop may have sent the wrong member: look at whose it was.")),
    Answer.NEVER_SEEN: ("bad", _("Ask the shop for the purchase; where it is a true one, give the points.")),
}


def answer_notice(found: Evidence) -> Notice:
    """What the ledger says, and what follows."""
    tone, then = _THEN[found.answer]
    told = str(then)
    if found.answer is Answer.NEVER_SEEN and not found.program_was_busy:
        more = now_(
            "Nobody earned or redeemed anything in the program within an hour of it: it may have been an outage."
        )
        told = f"{told} {more}"
    return Notice(told, tone, found.answer.label)


def movements_table(found: Evidence) -> Table:
    """What was booked for the purchase, for whomever."""
    return Table(
        _("Booked for this purchase"),
        [
            _("time"),
            _("what"),
            Column(_("points"), right=True),
            Column(_("taken back"), right=True),
            _("member"),
            _("found by"),
        ],
        [
            [
                display.moment(one.created_at),
                display.row_link_of(Transaction, one.id, EventType(one.event_type).label),
                display.signed(one.amount),
                display.number(one.taken_back) if one.taken_back else display.NOTHING,
                display.row_link_of(Balance, one.balance_id, display.whole(one.user_id)),
                _("its id") if one.found_by == "origin" else display.code(one.idempotency_key or ""),
            ]
            for one in found.movements
        ],
        empty=_("Nothing: neither under its id nor under an idempotency key."),
    )


def trail_table(row: Dispute, found: Evidence) -> Table:
    """What happened to the member around the date."""
    moved = dict(
        Transaction.objects.filter(
            pk__in=[one.entity_id for one in found.trail if one.entity_type == "transaction"]
        ).values_list("pk", "amount")
    )
    hours = int(AROUND.total_seconds() // 3600)
    busy = _("Other members' points moved in that time.") if found.program_was_busy else ""
    return Table(
        now_("The member, %(hours)s hour before and after %(time)s")
        % {
            "hours": hours,
            "time": f"{row.happened_at:%Y-%m-%d %H:%M} UTC",
        },
        [_("time"), _("what"), _("by")],
        [
            [
                display.moment(one.created_at),
                display.row_link_of(
                    Transaction, one.entity_id, f"{EventType(one.action).label} {display.signed(moved[one.entity_id])}"
                )
                if one.entity_id in moved
                else words_of(one.action),
                one.actor or display.NOTHING,
            ]
            for one in found.trail
        ],
        empty=_("Nothing."),
        note=busy,
    )
