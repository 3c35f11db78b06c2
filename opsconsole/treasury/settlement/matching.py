"""What a line of a bank's file is about, and what follows from it: found by its reference, checked against our records.

Nothing is guessed: another amount, currency or account, an unknown reference, or a message that does not follow from
the state of the payment is a break, for a person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import connection

from opsconsole.treasury.gateways.base import Known, PaymentState
from opsconsole.treasury.gateways.iso_messages import Line
from opsconsole.treasury.states import BreakReason, LineVerdict
from opsconsole.treasury.sweeps.reservations import BACK


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment of ours as it stands: an instruction, or a sweep with the account of ours that it goes to."""

    id: UUID
    is_sweep: bool
    message: str
    reference: str
    amount: Decimal
    currency: str
    account: str
    target: str
    status: str
    covered: bool  # whether what it brought there could be taken from there again


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of a line: what is known of which payments now, or that nothing does, and why."""

    verdict: LineVerdict
    paid: Sequence[Paid] = ()
    known: Known | None = None  # to be written of each payment that it is an end of
    reason: BreakReason | None = None
    detail: str = ""


# The message id of the file that went out under a key, as file_submissions.message_id has it.
_MESSAGE = "'OPS' || upper(left(encode(sha256(convert_to(s.key{back}, 'UTF8')), 'hex'), 32))"
_PAYMENTS = f"""
  select i.id, false, {_MESSAGE.format(back="")}, i.end_to_end_id, i.amount, i.currency, a.iban, '', i.status, true
  from treasury_instructions i join treasury_accounts a on a.id = i.account_id
    left join ops_plan_steps s on s.id = i.step_id
"""
_SWEEPS = f"""
  select w.id, true,
    {_MESSAGE.format(back=f" || case when w.undoes_id is null then '' else '{BACK}' end")},
    w.end_to_end_id, w.amount, w.currency, a.iban, t.iban, w.status,
    t.ledger_balance >= w.amount and t.status = 'active'
  from treasury_sweeps w join treasury_accounts a on a.id = w.account_id
    join treasury_accounts t on t.id = w.target_id left join ops_plan_steps s on s.id = w.step_id
"""


@dataclass(frozen=True, slots=True)
class Found:
    """The payments of a chunk of lines, by reference and by the message they went out in."""

    by_reference: dict[str, Paid]
    by_message: dict[str, list[Paid]]


def find(lines: Iterable[Line]) -> Found:
    """Look up what the lines are about."""
    lines = list(lines)
    references = sorted({line.reference for line in lines if line.reference})
    messages = sorted({line.message for line in lines if line.message})
    by_reference = {paid.reference: paid for paid in _by_reference(references)}
    by_message: dict[str, list[Paid]] = defaultdict(list)
    for paid in _by_message(messages):
        by_message[paid.message].append(paid)
    return Found(by_reference, by_message)


def _by_reference(references: Sequence[str]) -> list[Paid]:
    if not references:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_PAYMENTS} where i.end_to_end_id = any(%(references)s)"
            f" union all {_SWEEPS} where w.end_to_end_id = any(%(references)s)",
            {"references": list(references)},
        )
        return [Paid(*row) for row in cursor.fetchall()]


def _by_message(messages: Sequence[str]) -> list[Paid]:
    """The payments of whole files. Only steps that are files are looked through, of which there are few."""
    if not messages:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select p.* from (
              {_PAYMENTS} where s.kind = 'file' and i.status not in ('planned', 'released')
              union all {_SWEEPS} where w.status not in ('planned', 'released')
            ) as p (id, is_sweep, message, reference, amount, currency, account, target, status, covered)
            where p.message = any(%s) order by p.reference
            """,
            [list(messages)],
        )
        return [Paid(*row) for row in cursor.fetchall()]


def judge(line: Line, found: Found) -> Verdict:
    """What follows from a line."""
    if line.odd:
        return _break(BreakReason.UNEXPECTED, line.odd)
    if line.message:
        group = found.by_message.get(line.message, [])
        if not group:
            return _break(BreakReason.UNKNOWN_REFERENCE, f"no file of ours bears the id {line.message}")
        return _of_file(line, group)
    if not line.reference:
        if line.state is None:
            return Verdict(LineVerdict.PENDING, detail="names no reference; not booked yet")
        return _break(BreakReason.NO_REFERENCE, "it names no EndToEndId")
    paid = found.by_reference.get(line.reference)
    if paid is None:
        return _break(BreakReason.UNKNOWN_REFERENCE, f"no payment of ours bears {line.reference}")
    return _of_payment(line, paid)


def _of_payment(line: Line, paid: Paid) -> Verdict:
    wrong = _mismatch(line, [paid])
    if wrong is not None:
        return wrong
    arrives = line.direction == "CRDT" and line.state == PaymentState.SETTLED
    account = paid.target if arrives and paid.is_sweep else paid.account
    if arrives and not paid.is_sweep:
        return _break(
            BreakReason.UNEXPECTED, "it is a credit under the reference of a payment, and not called a return", [paid]
        )
    if line.account and line.account != account:
        return _break(BreakReason.WRONG_ACCOUNT, f"it is of {line.account}; the payment is of {account}", [paid])
    return _follow(line, [paid])


def _of_file(line: Line, group: Sequence[Paid]) -> Verdict:
    wrong = _mismatch(line, group)
    if wrong is not None:
        return wrong
    if line.account and any(line.account != paid.account for paid in group):
        return _break(BreakReason.WRONG_ACCOUNT, f"it is of {line.account}, the file is of another account", group[:1])
    return _follow(line, group)


def _mismatch(line: Line, group: Sequence[Paid]) -> Verdict | None:
    total = sum((paid.amount for paid in group), Decimal(0))
    currencies = {paid.currency for paid in group}
    if line.currency and currencies != {line.currency}:
        return _break(
            BreakReason.OTHER_CURRENCY, f"it is in {line.currency}, ours in {', '.join(sorted(currencies))}", group[:1]
        )
    if line.direction and line.amount is None:
        return _break(BreakReason.OTHER_AMOUNT, f"it does not say its amount; ours is {total}", group[:1])
    if line.amount is not None and line.amount != total:
        return _break(BreakReason.OTHER_AMOUNT, f"it is {line.amount}, ours {total}", group[:1])
    if line.count is not None and line.count != len(group):
        return _break(BreakReason.OTHER_AMOUNT, f"it is of {line.count} payments, our file has {len(group)}", group[:1])
    return None


_WORDS: Final[dict[PaymentState, LineVerdict]] = {
    PaymentState.SETTLED: LineVerdict.SETTLED,
    PaymentState.REJECTED: LineVerdict.FAILED,
    PaymentState.RETURNED: LineVerdict.RETURNED,
    PaymentState.RECALLED: LineVerdict.RETURNED,
}
# What has followed, or what went before, each end; a payment in one of these knows it already.
_KNOWN: Final[dict[PaymentState, frozenset[str]]] = {
    PaymentState.SETTLED: frozenset({"settled", "returned"}),
    PaymentState.REJECTED: frozenset({"failed"}),
    PaymentState.RETURNED: frozenset({"returned"}),
    PaymentState.RECALLED: frozenset({"recalled"}),
}


def _follow(line: Line, group: Sequence[Paid]) -> Verdict:
    state = line.state
    if state is None:
        return Verdict(LineVerdict.PENDING, group, detail=line.said)
    can_end = {"sent", "settled"} if state == PaymentState.RETURNED else {"sent"}
    open_ones = [paid for paid in group if paid.status in can_end]
    odd = [paid for paid in group if paid.status not in can_end | _KNOWN[state]]
    if odd:
        return _break(
            BreakReason.UNEXPECTED,
            f"{odd[0].reference} is {odd[0].status}; {line.said} does not follow from that",
            odd[:1],
        )
    spent = [paid for paid in open_ones if paid.status == "settled" and not paid.covered]
    if spent:
        return _break(
            BreakReason.UNEXPECTED,
            f"it came back, and {spent[0].target} does not hold it any more or is frozen",
            spent[:1],
        )
    if not open_ones:
        return Verdict(LineVerdict.ALREADY, group, detail=f"it is {group[0].status} already")
    reason = line.reason if state != PaymentState.SETTLED else ""
    return Verdict(_WORDS[state], open_ones, Known("", state, reason))


def _break(reason: BreakReason, detail: str, paid: Sequence[Paid] = ()) -> Verdict:
    return Verdict(LineVerdict.BREAK, paid, reason=reason, detail=detail)
