"""`payout_batch`: pay what is due. One step a payment at an HTTP bank, one step a file where a bank takes files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any, ClassVar, Final
from uuid import UUID

from django.db import connection
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from opsconsole.core.errors import RuleBroken
from opsconsole.core.texts import Text
from opsconsole.plans.errors import NothingToDo
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.outcomes import Answered, CannotTell, Outcome, Probed, Skipped
from opsconsole.plans.states import Direction
from opsconsole.plans.types import AccountImpact, EvidenceFile, Impact, PlanType, StepDraft
from opsconsole.treasury import payload_fields
from opsconsole.treasury.answers import probed, recalled, submitted
from opsconsole.treasury.bank_gateways import gateway_for
from opsconsole.treasury.closing import closures
from opsconsole.treasury.errors import InsufficientFunds
from opsconsole.treasury.gateways import base
from opsconsole.treasury.gateways.base import FileGateway, PaymentGateway
from opsconsole.treasury.models import Bank
from opsconsole.treasury.payouts import reservations, submissions
from opsconsole.treasury.payouts.calls import (
    by_bank,
    note_execution,
    note_recall,
    nothing_sent_yet,
    references_of,
    submission_key,
)
from opsconsole.treasury.payouts.evidence import rendered_files
from opsconsole.treasury.payouts.file_submissions import submit_file
from opsconsole.treasury.payouts.orders import (
    Planned,
    changed_payouts,
    file_step,
    lines_of,
    payment_step,
    planned,
    transliterated,
)
from opsconsole.treasury.payouts.submissions import Turn
from opsconsole.treasury.plan_types.payout_warnings import warnings_of
from opsconsole.treasury.plan_types.sentences import disagreements, holds_less, not_active
from opsconsole.treasury.states import GatewayKind

READERS: Final[dict[str, payload_fields.Reader]] = {
    "currency": payload_fields.currency,
    "cutoff_date": payload_fields.cutoff_date,
    "total_amount": payload_fields.total_amount,
    "simulate_before_execute": payload_fields.simulate_before_execute,
}


class PayoutBatch(PlanType):
    """Pays what is due by a date, up to a total, each payout through the bank of its route."""

    name = "payout_batch"
    label = _("Payout batch")
    summary = _("Pay what is due by a date, oldest first, stopping before a total would be passed.")
    irreversible = _(
        "A payment that the bank has executed can only be asked back from the payee or paid again:"
        " rolling back recalls what the bank has not executed and says what it could not."
    )
    example: ClassVar[dict[str, Any]] = {
        "currency": "EUR",
        "cutoff_date": "2025-08-01",
        "total_amount": 250000,
        "simulate_before_execute": True,
    }

    straight_on: ClassVar[int] = 48

    # --- content ---

    def parse(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`{currency, cutoff_date, total_amount?, simulate_before_execute?}`; amounts become strings."""
        return payload_fields.read_payload(self.name, payload, READERS)

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
                format_lazy(
                    _(
                        "No payout in {currency} that is due by {day} fits this plan: {beyond} would pass the total,"
                        " {unroutable} have no open route (there is none, or its bank is paused or its account"
                        " frozen), {frozen} are frozen."
                    ),
                    currency=payload["currency"],
                    day=payload["cutoff_date"],
                    beyond=rest.beyond_total,
                    unroutable=rest.unroutable,
                    frozen=rest.frozen,
                ),
                due=rest.beyond_total + rest.unroutable + rest.frozen,
            )

    def steps(self, plan: Plan) -> Iterable[StepDraft]:
        """A payment each at an HTTP bank, a file each for an account elsewhere."""
        today = timezone.now().date()
        for _seq, grouped in groupby(planned(plan, today), key=lambda line: line.step_seq):
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
                    format_lazy(
                        _("The account {account} holds {balance} {currency}; the plan pays {sum} from it."),
                        account=line.iban,
                        balance=line.balance,
                        currency=line.currency,
                        sum=line.sum,
                    ),
                    account=line.iban,
                    balance=line.balance,
                    needed=line.sum,
                )
            if line.balance - line.swept < line.sum:
                raise InsufficientFunds(
                    format_lazy(
                        _(
                            "Of the {balance} {currency} on the account {account}, {promised} are promised to sweeps;"
                            " the plan pays {sum} from it."
                        ),
                        balance=line.balance,
                        currency=line.currency,
                        account=line.iban,
                        promised=line.swept,
                        sum=line.sum,
                    ),
                    account=line.iban,
                    balance=line.balance,
                    promised=line.swept,
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
            warnings=warnings_of(plan, rest),
            irreversible=self.irreversible,
        )

    def drift(self, plan: Plan) -> list[Text]:
        """What differs now from what was staged."""
        approved = plan.estimated_impact or {}
        lines = reservations.account_lines(plan)
        found: list[Text] = []
        count = sum(line.count for line in lines)
        if count != approved.get("count"):
            ready = ngettext_lazy(
                "{count} payout is ready to be paid, not {before}.",
                "{count} payouts are ready to be paid, not {before}.",
                count,
            )
            found.append(format_lazy(ready, count=count, before=approved.get("count")))
        expected = {line["account"]: line for line in approved.get("accounts", [])}
        for line in lines:
            was = expected.pop(line.iban, None)
            if was is None or Decimal(was["sum"]) != line.sum:
                found.append(_otherwise(line, None if was is None else was["sum"]))
            if line.balance < line.sum:
                found.append(holds_less(line.iban, line.balance, line.currency, line.sum))
            if line.bank_status != "active" or line.account_status != "active":
                found.append(not_active(line.iban, line.bank))
        found += [
            format_lazy(_("Nothing would be paid from {account} any more."), account=account) for account in expected
        ]
        found += [
            format_lazy(
                ngettext_lazy(
                    "{count} payment of {corridor} would go through {account} by now.",
                    "{count} payments of {corridor} would go through {account} by now.",
                    count,
                ),
                count=count,
                corridor=corridor,
                account=account,
            )
            for corridor, account, count in reservations.led_elsewhere(plan)
        ]
        if frozen := reservations.frozen_since(plan):
            now_frozen = ngettext_lazy(
                "{count} payment is to a beneficiary, or of a merchant, that is frozen by now.",
                "{count} payments are to a beneficiary, or of a merchant, that is frozen by now.",
                frozen,
            )
            found.append(format_lazy(now_frozen, count=frozen))
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
            said = format_lazy(_("{payouts} can no longer be paid by this plan."), payouts=", ".join(gone))
            raise RuleBroken(said, payouts=gone)

    # --- doing ---

    def simulate(self, plan: Plan) -> list[str]:
        """The plan against the records, and each HTTP account against what its bank says it holds.

        Raises Unavailable when a bank that should say so does not answer.
        """
        found = super().simulate(plan)
        for line in reservations.account_lines(plan):
            found += disagreements(Bank.objects.get(code=line.bank), line.iban, line.sum)
        return found

    def execute(self, steps: Sequence[Step]) -> list[Outcome]:
        """Submit each step under its key."""
        by_step: dict[UUID, list[Planned]] = defaultdict(list)
        with nothing_sent_yet():
            for line in lines_of([step.pk for step in steps]):
                if line.step_id is not None:
                    by_step[line.step_id].append(line)
            groups = [(gateway_for(bank), group) for bank, group in by_bank(steps)]
            files = any(isinstance(gateway, FileGateway) for gateway, _group in groups)
            plan = steps[0].plan if files else None
        outcomes: dict[UUID, Outcome] = {}
        for gateway, group in groups:
            if isinstance(gateway, PaymentGateway):
                orders = [by_step[step.pk][0].order for step in group]
                answers = gateway.submit_many(orders)
                outcomes.update({step.pk: submitted(answer) for step, answer in zip(group, answers, strict=True)})
            elif isinstance(gateway, FileGateway) and plan is not None:
                for step in group:
                    outcomes[step.pk] = submit_file(
                        gateway,
                        step.key,
                        [line.order for line in by_step[step.pk]],
                        created_at=plan.staged_at or plan.created_at,  # the same at every attempt
                        count=step.payload["count"],
                        control_sum=Decimal(step.payload["control_sum"]),
                    )
        return [outcomes[step.pk] for step in steps]

    def held_back(self, steps: Sequence[Step]) -> bool:
        """Whether a bank, account, beneficiary or merchant of these was closed since."""
        return closures.any_closed([step.pk for step in steps])

    def compensate(self, steps: Sequence[Step]) -> list[Outcome]:
        """Recall what each step sent, if the bank has not executed it."""
        with nothing_sent_yet():
            references = references_of([step.undoes_id for step in steps if step.undoes_id])
            groups = [(gateway_for(bank), group) for bank, group in by_bank(steps)]
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
        for bank, group in by_bank(steps):
            if not bank.probing:
                found.update({step.pk: CannotTell(f"{bank.name} is not asked: its probing is off") for step in group})
                continue
            gateway = gateway_for(bank)
            keys = [submission_key(step) for step in group]
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
                note_execution(turn, step, answer)
            elif step.undoes_id is not None:
                note_recall(turn, step.undoes_id, answer)
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

    def evidence(self, plan: Plan) -> Iterable[EvidenceFile]:
        """The files that were laid out for banks."""
        return rendered_files(plan)

    def _left_out(self, plan: Plan) -> reservations.LeftOut:
        return reservations.left_out(
            currency=plan.payload["currency"], cutoff=date.fromisoformat(plan.payload["cutoff_date"])
        )


def _otherwise(line: reservations.AccountLine, before: str | None) -> Text:
    if before is None:
        told = _("{sum} {currency} would be paid from {account}, not nothing.")
    else:
        told = _("{sum} {currency} would be paid from {account}, not {before}.")
    return format_lazy(told, sum=line.sum, currency=line.currency, account=line.iban, before=before)
