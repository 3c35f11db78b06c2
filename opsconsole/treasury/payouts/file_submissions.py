"""Handing payments to a bank that takes files: the same step gives the same bytes, so a second try is the same file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from opsconsole.plans.outcomes import Done, NotStarted, Outcome, Refused
from opsconsole.treasury.answers import submitted
from opsconsole.treasury.gateways import base
from opsconsole.treasury.gateways.base import FileGateway, PaymentOrder, PaymentState
from opsconsole.treasury.gateways.credit_transfer import render_credit_transfer


def message_id(key: str) -> str:
    """The message id of the file that goes out under this key; a bank's reports refer to it."""
    return f"OPS{hashlib.sha256(key.encode()).hexdigest()[:32].upper()}"


def submit_file(
    gateway: FileGateway,
    key: str,
    orders: Sequence[PaymentOrder],
    *,
    created_at: datetime,
    count: int,
    control_sum: Decimal,
) -> Outcome:
    """Render the file and hand it over, once; refused where it would not carry the count and sum that were approved."""
    match gateway.status(key):
        case base.Known(state=PaymentState.RECALLED):
            return Refused("withdrawn", "the file was withdrawn before the bank collected it")
        case base.Known(reference=reference):
            return Done({"reference": reference})
        case base.NoAnswer(detail=detail, retry_after=pause):
            return NotStarted(detail, pause)
    rendered = render_credit_transfer(
        orders=orders,
        message_id=message_id(key),
        created_at=created_at,
        initiator_name=orders[0].debtor_name,
    )
    if rendered.count != count or rendered.control_sum != control_sum:
        return Refused("file_differs", "the rendered file does not carry the count and control sum that were approved")
    return submitted(gateway.submit_file(rendered.content, key))
