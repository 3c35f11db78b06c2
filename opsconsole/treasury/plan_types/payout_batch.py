"""`payout_batch`: pay what is due. One step a payment at an HTTP bank, one step a file where a bank takes files."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import groupby
from typing import Any, ClassVar
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from opsconsole.core.errors import RuleBroken, Unavailable
from opsconsole.plans.errors import NothingToDo, PlanInvalid
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.outcomes import (
    Answered,
    CannotTell,
    Done,
    NeverHappened,
    NotStarted,
    Outcome,
    Probed,
    Refused,
    Skipped,
)
from opsconsole.plans.states import Direction
from opsconsole.plans.types import AccountImpact, Impact, PlanType, StepDraft
from opsconsole.treasury import reservations, submissions
from opsconsole.treasury.answers import probed, recalled, submitted
from opsconsole.treasury.bank_gateways import gateway_for
from opsconsole.treasury.currencies import decimals_of
from opsconsole.treasury.errors import InsufficientFunds
from opsconsole.treasury.gateways import base
from opsconsole.treasury.gateways.base import FileGateway, PaymentGateway, PaymentOrder, PaymentState
from opsconsole.treasury.gateways.credit_transfer import render_credit_transfer
from opsconsole.treasury.models import Bank
from opsconsole.treasury.orders import (
    MOST_SHOWN,
    Planned,
    changed_payouts,
    file_step,
    lines_of,
    payment_step,
    planned,
    transliterated,
)
from opsconsole.treasury.states import GatewayKind
from opsconsole.treasury.submissions import Turn

KEYS = frozenset({"currency", "cutoff_date", "total_amount", "simulate_before_execute"})


class PayoutBatch(PlanType):
    """Pays what is due by a date, up to a total, each payout through the bank of its route."""

    name = "payout_batch"
    label = "Payout batch"
    summary = "Pay what is due by a date, oldest first, stopping before a total would be passed."
    example: ClassVar[dict[str, Any]] = {
        "currency": "EUR",
        "cutoff_date": "2025-08-01",
        "total_amount": 250000,
        "simulate_before_execute": True,
    }

    # --- content ---

    def parse(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`{currency, cutoff_date, total_amount?, simulate_before_execute?}`; amounts become strings."""
        errors: dict[str, list[str]] = {
            key: ["is not a field of payout_batch"] for key in sorted(payload.keys() - KEYS)
        }
        parsed: dict[str, Any] = {}
        for key, read in (
            ("currency", _currency),
            ("cutoff_date", _day),
            ("total_amount", _total),
            ("simulate_before_execute", _flag),
        ):
            try:
                parsed[key] = read(payload)
            except ValueError as error:
                errors[key] = [str(error)]
        if errors:
            raise PlanInvalid("The payload of the payout batch is not valid.", errors={"payload": errors})
        return parsed

    def reserve(self, plan: Plan) -> None:
        """Reserve the payouts; raises NothingToDo when none is due."""
        payload = plan.payload
        total = payload["total_amount"]
        reserved = reservations.reserve_due(
            plan,
            currency=payload["currency"],
            cutoff=date.fromisoformat(payload["cutoff_date"]),
            total=None if total is None else Decimal(total),
        )
        if not reserved:
            rest = self._left_out(plan)
            raise NothingToDo(
                f"No payout in {payload['currency']} that is due by {payload['cutoff_date']} fits this plan:"
                f" {rest.beyond_total} would pass the total, {rest.unroutable} have no open route.",
                due=rest.beyond_total + rest.unroutable,
            )

    def steps(self, plan: Plan) -> Iterable[StepDraft]:
        """A payment each at an HTTP bank, a file each for an account elsewhere."""
        today = timezone.now().date()
        for _, grouped in groupby(planned(plan, today), key=lambda line: line.step_seq):
            lines = list(grouped)
            if lines[0].gateway == GatewayKind.HTTP:
                yield payment_step(lines[0])
            else:
                yield file_step(lines)

    def staged(self, plan: Plan) -> None:
        """Bind each instruction to its step."""
        reservations.bind_steps(plan)

    def impact(self, plan: Plan) -> Impact:
        """Counts, sums and balances; raises InsufficientFunds when an account does not hold what it is to pay."""
        lines = reservations.account_lines(plan)
        sums: dict[str, Decimal] = defaultdict(Decimal)
        fees: dict[str, Decimal] = defaultdict(Decimal)
        for line in lines:
            if line.balance < line.sum:
                raise InsufficientFunds(
                    f"The account {line.iban} holds {line.balance} {line.currency}; the plan pays {line.sum} from it.",
                    account=line.iban,
                    balance=line.balance,
                    needed=line.sum,
                )
            sums[line.currency] += line.sum
            fees[line.currency] += line.fee
        currency, total = plan.payload["currency"], plan.payload["total_amount"]
        rest = self._left_out(plan)
        return Impact(
            count=sum(line.count for line in lines),
            payees=reservations.payees(plan),
            sums=dict(sums),
            accounts=[
                AccountImpact(
                    line.iban, line.bank, line.currency, line.count, line.sum, line.balance, line.balance - line.sum
                )
                for line in lines
            ],
            fees=dict(fees),
            remainder={} if total is None else {currency: Decimal(total) - sums[currency]},
            details={
                "not_taken": {"count": rest.beyond_total, "sum": f"{rest.beyond_sum:f}"},
                "transliterated": transliterated(plan),
            },
            warnings=_warnings(plan, rest),
            irreversible="A payment that the bank has executed can only be asked back from the payee or paid again:"
            " rolling back recalls what the bank has not executed and says what it could not.",
        )

    def drift(self, plan: Plan) -> list[str]:
        """What differs now from what was staged."""
        approved = plan.estimated_impact or {}
        lines = reservations.account_lines(plan)
        found: list[str] = []
        count = sum(line.count for line in lines)
        if count != approved.get("count"):
            found.append(f"{count} payouts are ready to be paid, not {approved.get('count')}.")
        expected = {line["account"]: line for line in approved.get("accounts", [])}
        for line in lines:
            was = expected.pop(line.iban, None)
            if was is None or Decimal(was["sum"]) != line.sum:
                before = "nothing" if was is None else f"{was['sum']}"
                found.append(f"{line.sum} {line.currency} would be paid from {line.iban}, not {before}.")
            if line.balance < line.sum:
                found.append(f"The account {line.iban} holds {line.balance} {line.currency}, less than {line.sum}.")
            if line.bank_status != "active" or line.account_status != "active":
                found.append(f"The account {line.iban} or its bank {line.bank} is not active.")
        found += [f"Nothing would be paid from {account} any more." for account in expected]
        return found + changed_payouts(plan)

    def release(self, plan: Plan) -> None:
        """Give back what was not sent."""
        reservations.release(plan)

    def reopen(self, plan: Plan, direction: Direction) -> None:
        """Take failed payouts back into the plan; raises RuleBroken when one was released to be paid elsewhere."""
        if direction == Direction.ROLLBACK:
            return
        gone = reservations.reopen_failed(plan)
        if gone:
            raise RuleBroken(f"{', '.join(gone)} can no longer be paid by this plan.", payouts=gone)

    # --- doing ---

    def simulate(self, plan: Plan) -> list[str]:
        """The plan against the records, and each HTTP account against what its bank says it holds.

        Raises Unavailable when a bank that should say so does not answer.
        """
        found = self.drift(plan)
        for line in reservations.account_lines(plan):
            bank = Bank.objects.get(code=line.bank)
            match gateway_for(bank).balance(line.iban):
                case base.Balance(available=available) if available < line.sum:
                    found.append(f"{bank.name} says {line.iban} has {available} available, less than {line.sum}.")
                case base.Absent():
                    found.append(f"{bank.name} does not know the account {line.iban}.")
                case base.NoAnswer(detail=detail):
                    raise Unavailable(f"{bank.name} does not answer: {detail}")
        return found

    def execute(self, steps: Sequence[Step]) -> list[Outcome]:
        """Submit each step under its key."""
        by_step: dict[UUID, list[Planned]] = defaultdict(list)
        with _nothing_sent_yet():
            for line in lines_of([step.pk for step in steps]):
                if line.step_id is not None:
                    by_step[line.step_id].append(line)
            groups = [(gateway_for(bank), group) for bank, group in _by_bank(steps)]
            files = any(isinstance(gateway, FileGateway) for gateway, _ in groups)
            plan = steps[0].plan if files else None
        outcomes: dict[UUID, Outcome] = {}
        for gateway, group in groups:
            if isinstance(gateway, PaymentGateway):
                orders = [by_step[step.pk][0].order for step in group]
                answers = gateway.submit_many(orders)
                outcomes.update({step.pk: submitted(answer) for step, answer in zip(group, answers, strict=True)})
            elif isinstance(gateway, FileGateway) and plan is not None:
                for step in group:
                    outcomes[step.pk] = _submit_file(gateway, plan, step, [line.order for line in by_step[step.pk]])
        return [outcomes[step.pk] for step in steps]

    def compensate(self, steps: Sequence[Step]) -> list[Outcome]:
        """Recall what each step sent, if the bank has not executed it."""
        with _nothing_sent_yet():
            references = _references([step.undoes_id for step in steps if step.undoes_id])
            groups = [(gateway_for(bank), group) for bank, group in _by_bank(steps)]
        outcomes: dict[UUID, Outcome] = {}
        for gateway, group in groups:
            known = [step for step in group if references.get(step.undoes_id)]
            answers = gateway.recall_many([base.Recall(step.key, references[step.undoes_id]) for step in known])
            outcomes.update({step.pk: recalled(answer) for step, answer in zip(known, answers, strict=True)})
        nameless = Skipped("no_reference", "nobody noted the bank's own reference, and without it nothing is recalled")
        return [outcomes.get(step.pk, nameless) for step in steps]

    def probe(self, steps: Sequence[Step]) -> list[Probed]:
        """Ask the bank what it has under the key of the submission."""
        found: dict[UUID, Probed] = {}
        for bank, group in _by_bank(steps):
            if not bank.probing:
                found.update({step.pk: CannotTell(f"{bank.name} is not asked: its probing is off") for step in group})
                continue
            gateway = gateway_for(bank)
            keys = [_submission_key(step) for step in group]
            for step, finding in zip(group, gateway.status_many(keys), strict=True):
                found[step.pk] = probed(step, finding, honours_key=gateway.honours_key)
        return [found[step.pk] for step in steps]

    # --- bookkeeping ---

    def record(self, direction: Direction, answers: Sequence[tuple[Step, Answered]], starting: Sequence[Step]) -> None:
        """Payouts, instructions and ledger follow their steps."""
        turn = Turn()
        if direction == Direction.EXECUTE:
            turn.starting = [step.pk for step in starting]
        for step, answer in answers:
            if direction == Direction.EXECUTE:
                _note_execution(turn, step, answer)
            elif step.undoes_id is not None:
                _note_recall(turn, step.undoes_id, answer)
        submissions.write(turn)

    def report(self, run: Run) -> dict[str, Any]:
        """What was paid or taken back, and what could not be."""
        with connection.cursor() as cursor:
            cursor.execute(
                "select status, currency, count(*), sum(amount) from treasury_instructions where plan_id = %s"
                " and status <> 'released' group by 1, 2 order by 1, 2",
                [run.plan_id],
            )
            payments = [
                {"status": status, "currency": currency, "count": count, "sum": f"{total:f}"}
                for status, currency, count, total in cursor.fetchall()
            ]
            report: dict[str, Any] = {"payments": payments}
            if run.direction == Direction.ROLLBACK:
                cursor.execute(
                    """
                    select p.external_id, p.beneficiary_name, i.amount, i.currency, i.reason
                    from treasury_instructions i join treasury_payouts p on p.id = i.payout_id
                    where i.plan_id = %s and i.status in ('sent', 'settled') order by i.ordinal limit 200
                    """,
                    [run.plan_id],
                )
                report["not_undone"] = [
                    {
                        "payout": external_id,
                        "beneficiary": name,
                        "amount": f"{amount:f}",
                        "currency": currency,
                        "reason": reason,
                    }
                    for external_id, name, amount, currency, reason in cursor.fetchall()
                ]
        return report

    def _left_out(self, plan: Plan) -> reservations.LeftOut:
        return reservations.left_out(
            currency=plan.payload["currency"], cutoff=date.fromisoformat(plan.payload["cutoff_date"])
        )


def _currency(payload: dict[str, Any]) -> str:
    value = payload.get("currency")
    if not isinstance(value, str) or decimals_of(value) is None:
        raise ValueError("must be a currency of ISO 4217, such as EUR")
    return value


def _day(payload: dict[str, Any]) -> str:
    value = payload.get("cutoff_date")
    try:
        if not isinstance(value, str) or len(value) != len("2025-08-01"):
            raise ValueError
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("must be a date, such as 2025-08-01") from None


def _total(payload: dict[str, Any]) -> str | None:
    value = payload.get("total_amount")
    if value is None:
        return None
    places = decimals_of(str(payload.get("currency"))) or 0
    try:
        amount = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount <= 0 or amount >= Decimal(10) ** 16:
        raise ValueError("must be a positive amount")
    if amount != amount.quantize(Decimal(1).scaleb(-places)):
        raise ValueError(f"has more than {places} decimals")
    return f"{amount:.{places}f}"


def _flag(payload: dict[str, Any]) -> bool:
    value = payload.get("simulate_before_execute", False)
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _warnings(plan: Plan, rest: reservations.LeftOut) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = []
    if rest.unroutable:
        warnings.append(
            {
                "code": "unroutable",
                "message": f"{rest.unroutable} due payouts ({rest.unroutable_sum}) have no open route and stay behind.",
            }
        )
    alike, first = reservations.likely_duplicates(plan, limit=MOST_SHOWN)
    if alike:
        warnings.append(
            {
                "code": "likely_duplicates",
                "message": f"{alike} payouts look like another one: same payee and amount within"
                f" {reservations.DUPLICATE_DAYS} days.",
                "payouts": first,
            }
        )
    return warnings


# --- talking to banks ---


@contextmanager
def _nothing_sent_yet() -> Iterator[None]:
    """Read what is needed before the first call: raises Unavailable, which is certain that nothing went out."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(f"The records could not be read: {error}") from error


def _by_bank(steps: Sequence[Step]) -> list[tuple[Bank, list[Step]]]:
    groups: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        groups[step.payload["bank"]].append(step)
    banks = {bank.code: bank for bank in Bank.objects.filter(code__in=groups)}
    return [(banks[code], group) for code, group in groups.items()]


def _references(steps: list[UUID]) -> dict[UUID | None, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "select distinct step_id, bank_reference from treasury_instructions where step_id = any(%s)", [steps]
        )
        return dict(cursor.fetchall())


def _submission_key(step: Step) -> str:
    """The key under which the payment went out, of a step or of the step that it undoes."""
    if step.direction == Direction.EXECUTE or step.undoes_id is None:
        return step.key
    return str(Step.objects.values_list("key", flat=True).get(pk=step.undoes_id))


def _submit_file(gateway: FileGateway, plan: Plan, step: Step, orders: list[PaymentOrder]) -> Outcome:
    """Render the file and hand it over; the same step gives the same bytes, so a second try is the same file."""
    match gateway.status(step.key):
        case base.Known(state=PaymentState.RECALLED):
            return Refused("withdrawn", "the file was withdrawn before the bank collected it")
        case base.Known(reference=reference):
            return Done({"reference": reference})
        case base.NoAnswer(detail=detail, retry_after=pause):
            return NotStarted(detail, pause)
    rendered = render_credit_transfer(
        orders=orders,
        message_id=f"OPS{hashlib.sha256(step.key.encode()).hexdigest()[:32].upper()}",
        created_at=plan.staged_at or plan.created_at,  # the same at every attempt
        initiator_name=orders[0].debtor_name,
    )
    if rendered.count != step.payload["count"] or rendered.control_sum != Decimal(step.payload["control_sum"]):
        return Refused("file_differs", "the rendered file does not carry the count and control sum that were approved")
    return submitted(gateway.submit_file(rendered.content, step.key))


def _note_execution(turn: Turn, step: Step, answer: Answered) -> None:
    match answer:
        case Done(result=result):
            turn.accepted[step.pk] = str(result.get("reference", ""))
        case Refused(code=code, reason=reason):
            turn.refused[step.pk] = f"{code}: {reason}"
        case NotStarted() | NeverHappened():
            turn.not_sent[step.pk] = step.attempt


def _note_recall(turn: Turn, undone: UUID, answer: Answered) -> None:
    match answer:
        case Done():
            turn.recalled.append(undone)
        case Skipped(reason=reason):
            turn.too_late[undone] = reason
