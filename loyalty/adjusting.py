"""Adjusting points by hand: who has to agree, and the movement; shared by whoever adjusts, each in its operation."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Sum
from django.db.models.functions import Abs
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import ledger
from loyalty.errors import ActorMismatch
from loyalty.models import Balance, Transaction
from loyalty.selectors import database_clock
from loyalty.states import EventType
from opsconsole.approvals import gate, kernel
from opsconsole.approvals.gate import Asked, Deed
from opsconsole.core.actors import Actor
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record

ADJUST: Final = "loyalty.adjust"
ADJUST_ALONE: Final = 10_000  # points in a day that one person adjusts; above, two teams agree (runbook 3, step 3)
ADJUSTED_WITHIN: Final = timedelta(hours=24)


def agree(
    member: Balance,
    amount: int,
    *,
    reason: str,
    approval_id: UUID | None,
    actor: Actor,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any] | Asked:
    """The facts of an adjustment that may be made now, or Asked; the member's row is locked by the caller.

    `more` are facts that the approval is bound to as well, such as the dispute that it ends.
    """
    facts = {"user_id": member.user_id, "program": member.program.name, "amount": amount, **(more or {})}
    # An approval that is brought along is used up also where none is needed any more, or it would do for another time.
    if approval_id is None and abs(amount) + _adjusted_lately(member) <= ADJUST_ALONE:
        return facts
    deed = Deed(
        action=ADJUST,
        row=member,
        title=f"Adjust {member.user_id} by {amount:+,d} points",
        facts=facts,
        reason=reason,
    )
    answer = gate.pass_or_ask(deed, approval_id=approval_id, actor=actor)
    return answer if isinstance(answer, Asked) else {**facts, "approval": answer.pk}


def no_longer_asked(member: Balance, dispute: UUID, *, actor: Actor) -> None:
    """Void what is asked for to end this dispute: it has ended otherwise, and nobody has to agree any more."""
    live = kernel.live_request(Balance._meta.db_table, member.pk, ADJUST)
    if live is not None and live.content.get("dispute") == str(dispute):
        kernel.void(live.subject_kind, live.subject_id, reason="the dispute has ended", action=ADJUST, actor=actor)


def post(
    member: Balance,
    facts: Mapping[str, Any],
    *,
    reason: str,
    actor: Actor,
    transaction_id: UUID | None = None,
    origin_txn_id: str | None = None,
) -> Transaction:
    """Write the movement, as the last thing that the operation does, with its entry before it.

    `origin_txn_id` is the purchase that it makes good: whoever looks that up again finds it.
    """
    record(actor, "points.adjusted", member, after=facts, reason=reason)
    about = {"program": member.program.name, "amount": facts["amount"]}
    emit("points.adjusted", kind=Balance._meta.db_table, id=member.pk, data=about)
    made = ledger.insert_one(
        member.pk,
        event_type=EventType.ADJUST.value,
        amount=facts["amount"],
        origin_txn_id=origin_txn_id,
        reason=reason,
        created_at=database_clock(),
        **({"id": transaction_id} if transaction_id else {}),
    )
    return Transaction.objects.get(pk=made)


def require_named(actor: Actor, actor_id: str | None, actor_role: str | None) -> None:
    """Raise ActorMismatch unless what the body says of its author is true of the caller's token."""
    user = actor.user
    if actor_id is not None and (user is None or actor_id not in {str(user.pk), user.username, user.sub}):
        raise ActorMismatch(
            _("actorId is not the user that the token is of."), errors={"actorId": [_("is not the caller")]}
        )
    if actor_role is not None and not actor.has_role(actor_role):
        raise ActorMismatch(
            format_lazy(_("The caller does not have the role {role}."), role=actor_role),
            errors={"actorRole": [_("is not a role of the caller's")]},
        )


def _adjusted_lately(member: Balance) -> int:
    """What was adjusted for the member within a day, whichever way; their row is locked, so nothing is added now."""
    since: datetime = database_clock() - ADJUSTED_WITHIN
    lately = Transaction.objects.filter(balance=member, event_type=EventType.ADJUST, created_at__gte=since)
    return int(lately.aggregate(points=Sum(Abs("amount")))["points"] or 0)
