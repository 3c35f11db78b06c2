"""`sweep`: bring what accounts of ours hold above a minimum together on one of them, a transfer for each account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Final
from uuid import UUID

from django.db import connection
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from opsconsole.core.actors import Actor
from opsconsole.core.errors import RuleBroken
from opsconsole.core.texts import Text
from opsconsole.plans.errors import NothingToDo, PlanInvalid
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.outcomes import Answered, Done, NeverHappened, NotStarted, Outcome, Probed, Refused
from opsconsole.plans.states import Direction
from opsconsole.plans.types import AccountImpact, Impact, PlanType, Scope, StepDraft
from opsconsole.plans.warnings import Template, declare
from opsconsole.treasury import access, promises
from opsconsole.treasury.errors import AccountFrozen, BankPaused
from opsconsole.treasury.gateways.credit_transfer import problems_of
from opsconsole.treasury.models import Account, Bank
from opsconsole.treasury.payload_fields import NO_BANK, read_payload, refuse
from opsconsole.treasury.plan_types.sentences import disagreements, holds_less, not_active
from opsconsole.treasury.states import AccountState, BankState, GatewayKind
from opsconsole.treasury.sweeps import calls as sweep_calls
from opsconsole.treasury.sweeps import reservations as sweeps
from opsconsole.treasury.sweeps import submissions as sweep_submissions
from opsconsole.treasury.sweeps.calls import CAME_BACK, SENT_BACK, Executed
from opsconsole.treasury.sweeps.payload import READERS
from opsconsole.treasury.sweeps.reservations import SWEEP, Line, Source
from opsconsole.treasury.sweeps.submissions import Turn

OTHER_BANK: Final = declare(
    "other_bank", _("{bank} is another bank: each of these is a real payment through the source's bank.")
)
CLOSED: Final = declare("closed", _("These accounts or their banks are not active and are left alone."))
NOTHING_TO_SWEEP: Final = declare(
    "nothing_to_sweep", _("These accounts hold nothing above the minimum that is not promised elsewhere.")
)
PROMISED: Final = declare("promised", _("These accounts hold money that is promised to other plans and stays there."))


class SweepAccounts(PlanType):
    """Moves what accounts hold above a minimum to one account; what went wrong on the way goes back."""

    name = "sweep"
    label = _("Sweep")
    summary = _("Move what accounts hold above a minimum to one account.")
    irreversible = _(
        "Rolling back recalls what a bank has not executed; what it has goes back from the target by"
        " payments of their own, which cost their fees and need the money to be there."
    )
    example: ClassVar[dict[str, Any]] = {
        "currency": "EUR",
        "source_bank": "sandbox",
        "target_account": "FR4030004000030000000000172",
        "keep_minimum": "50000.00",
    }

    # --- content ---

    def parse(self, payload: dict[str, Any]) -> dict[str, Any]:
        """`{currency, source_accounts | source_bank, target_account, keep_minimum, simulate_before_execute?}`."""
        parsed = read_payload(self.name, payload, READERS)
        errors: dict[str, list[Text]] = {}
        if (parsed["source_accounts"] is None) == (parsed["source_bank"] is None):
            errors["source_accounts"] = [_("either the accounts or source_bank says where the money comes from")]
        if parsed["target_account"] in (parsed["source_accounts"] or ()):
            errors["target_account"] = [_("is one of the accounts that are swept")]
        refuse(self.name, errors)
        return parsed

    def require_sight(self, payload: dict[str, Any], actor: Actor) -> None:
        """The accounts on both sides. Whoever sees all accounts learns at staging which IBAN is none of ours."""
        if actor.may("treasury.view_account"):
            return
        unseen = [one for one in payload["source_accounts"] or () if not access.sees_account(actor, iban=one)]
        errors: dict[str, list[Text]] = {}
        if unseen:
            foreign = _("{iban} is no account of ours")
            errors["source_accounts"] = [format_lazy(foreign, iban=one) for one in unseen]
        if payload["source_bank"] is not None and not access.sees_bank(actor, payload["source_bank"]):
            errors["source_bank"] = [NO_BANK]
        if not access.sees_account(actor, iban=payload["target_account"]):
            errors["target_account"] = [_("is no account of ours")]
        refuse(self.name, errors)

    def reserve(self, plan: Plan) -> None:
        """Promise what lies above the minimum on each account; raises NothingToDo where nothing does."""
        payload = plan.payload
        promises.one_at_a_time(payload["currency"])
        target = _target_of(plan)
        _refuse_closed(target)
        found = _sources(plan, target)
        missing = sorted(set(payload["source_accounts"] or ()) - {source.iban for source in found})
        if missing or not found:
            unknown = missing or [payload["source_bank"]]
            field = "source_accounts" if payload["source_accounts"] else "source_bank"
            raise PlanInvalid(
                format_lazy(
                    _("There is no settlement account in {currency} to sweep: {names}."),
                    currency=payload["currency"],
                    names=", ".join(unknown),
                ),
                errors={
                    "payload": {
                        field: [format_lazy(_("has no settlement account in {currency}"), currency=payload["currency"])]
                    }
                },
            )
        if not sweeps.reserve(plan, found, target=target.pk, currency=payload["currency"]):
            raise NothingToDo(
                format_lazy(
                    _(
                        "No account holds more than {minimum} {currency} that could be swept: {closed} are frozen or"
                        " at a paused bank, {promised} have promised money to other plans."
                    ),
                    minimum=payload["keep_minimum"],
                    currency=payload["currency"],
                    closed=sum(1 for one in found if not one.open),
                    promised=sum(1 for one in found if one.promised),
                ),
                accounts=[source.iban for source in found],
            )

    def steps(self, plan: Plan) -> Iterable[StepDraft]:
        """A transfer for each account."""
        lines = sweeps.planned(plan)
        for line in lines:
            problems = [] if line.gateway == GatewayKind.HTTP else list(problems_of([line.order]))
            if problems:
                said = _("{account} cannot be swept by a file: {first}")
                raise RuleBroken(
                    format_lazy(said, account=line.iban, first=problems[0].told),
                    problems=[str(problem) for problem in problems],
                )
            yield StepDraft(
                kind=SWEEP,
                payload={
                    "bank": line.bank,
                    "account": line.iban,
                    "target": line.target_iban,
                    "target_bank": line.target_bank,
                    "amount": line.amount,
                    "currency": line.currency,
                    "way": "internal" if line.is_internal else "payment",
                    "requested_on": line.day,
                },
                compensation={
                    "bank": line.bank,
                    "recall": line.iban,
                    "amount": line.amount,
                    "else_pay_back": {
                        "bank": line.target_bank,
                        "account": line.target_iban,
                        "target": line.iban,
                        "amount": line.amount,
                        "currency": line.currency,
                    },
                },
            )

    def staged(self, plan: Plan) -> None:
        """Bind each transfer to its step."""
        sweeps.bind_steps(plan)

    def impact(self, plan: Plan) -> Impact:
        """Every account before and after, sums, fees, and what rolling back would do."""
        lines = sweeps.planned(plan)
        target = _target_of(plan)
        total = sum((line.amount for line in lines), Decimal(0))
        currency = plan.payload["currency"]
        return Impact(
            count=len(lines),
            payees=1,
            sums={currency: total},
            accounts=[
                AccountImpact(line.iban, line.bank, currency, 1, line.amount, line.balance, line.balance - line.amount)
                for line in lines
            ],
            fees={currency: sum((line.fee for line in lines if not line.is_internal), Decimal(0))},
            details={
                "target": {
                    "account": target.iban,
                    "bank": target.bank.code,
                    "currency": currency,
                    "sum": f"{total:f}",
                    "balance_before": f"{target.ledger_balance:f}",
                    "balance_after": f"{target.ledger_balance + total:f}",
                },
                "way_back": [
                    {
                        "account": line.target_iban,
                        "target": line.iban,
                        "bank": line.target_bank,
                        "amount": f"{line.amount:f}",
                        "currency": currency,
                    }
                    for line in lines
                ],
            },
            warnings=_warnings(plan, lines, target),
            irreversible=self.irreversible,
        )

    def drift(self, plan: Plan) -> list[Text]:
        """What differs now from what was staged: an account that no longer covers its amount, or is closed."""
        lines = sweeps.planned(plan)
        approved = plan.estimated_impact or {}
        found: list[Text] = []
        if len(lines) != approved.get("count"):
            ready = ngettext_lazy(
                "{count} account is ready to be swept, not {before}.",
                "{count} accounts are ready to be swept, not {before}.",
                len(lines),
            )
            found.append(format_lazy(ready, count=len(lines), before=approved.get("count")))
        staged = {step.pk: step.payload for step in Step.objects.filter(pk__in=[one.step_id for one in lines])}
        for line in lines:
            if line.balance < line.amount:
                found.append(holds_less(line.iban, line.balance, line.currency, line.amount))
            if not line.is_open:
                found.append(not_active(line.iban, line.bank))
            was = staged.get(line.step_id, {}) if line.step_id else {}
            now = {"account": line.iban, "target": line.target_iban, "amount": f"{line.amount:f}"}
            if any(was.get(name) != value for name, value in now.items()):
                changed = _("The transfer from {account} has changed since it was staged.")
                found.append(format_lazy(changed, account=line.iban))
        if lines and not lines[0].target_open:
            found.append(not_active(lines[0].target_iban, lines[0].target_bank))
        return found

    def release(self, plan: Plan) -> None:
        """Give back what was not sent."""
        sweeps.release(plan)

    def scope(self, plan: Plan) -> Scope:
        """The target's bank is touched as well."""
        found, target = super().scope(plan), (plan.estimated_impact or {}).get("target", {})
        return Scope(found.banks | ({target["bank"]} if target else frozenset()), found.currencies)

    def reopen(self, plan: Plan, direction: Direction) -> None:
        """Promise what failed again, to be tried once more."""
        sweeps.reopen_failed(plan, way_back=direction == Direction.ROLLBACK)

    # --- doing ---

    def simulate(self, plan: Plan) -> list[str]:
        """The plan against the records, and each account at an HTTP bank against what that bank says it holds."""
        found = super().simulate(plan)
        for line in sweeps.planned(plan):
            found += disagreements(Bank.objects.get(code=line.bank), line.iban, line.amount)
        return found

    def execute(self, steps: Sequence[Step]) -> list[Outcome]:
        """Hand each transfer to the source's bank under the step's key."""
        return sweep_calls.submit(steps)

    def compensate(self, steps: Sequence[Step]) -> list[Outcome]:
        """Take each transfer back: by its way back where the ledger has opened one, by a recall where it has not."""
        return sweep_calls.undo(steps)

    def probe(self, steps: Sequence[Step]) -> list[Probed]:
        """Ask the bank what it has under the key of the transfer, or of its way back."""
        return sweep_calls.ask(steps)

    # --- bookkeeping ---

    def record(self, direction: Direction, answers: Sequence[tuple[Step, Answered]], starting: Sequence[Step]) -> None:
        """Transfers and ledger follow their steps."""
        turn = Turn(starting=[step.pk for step in starting])
        for step, answer in answers:
            if direction == Direction.EXECUTE:
                _note_transfer(turn, step, answer)
            elif step.undoes_id is not None:
                _note_undoing(turn, step, step.undoes_id, answer)
        sweep_submissions.write(turn)

    def report(self, run: Run) -> dict[str, Any]:
        """What was moved or taken back."""
        with connection.cursor() as cursor:
            cursor.execute(
                "select status, undoes_id is not null, currency, count(*), sum(amount) from treasury_sweeps"
                " where plan_id = %s and status <> 'released' group by 1, 2, 3 order by 2, 1, 3",
                [run.plan_id],
            )
            return {
                "transfers": [
                    {
                        "status": status,
                        "way": "back" if back else "there",
                        "currency": currency,
                        "count": count,
                        "sum": f"{total:f}",
                    }
                    for status, back, currency, count, total in cursor.fetchall()
                ]
            }


# --- what is there ---


def _target_of(plan: Plan) -> Account:
    payload = plan.payload
    target = sweeps.settlement_account(payload["target_account"], payload["currency"])
    if target is None:
        currency = payload["currency"]
        raise PlanInvalid(
            format_lazy(
                _("There is no settlement account {account} in {currency}."),
                account=payload["target_account"],
                currency=currency,
            ),
            errors={
                "payload": {
                    "target_account": [format_lazy(_("is no settlement account in {currency}"), currency=currency)]
                }
            },
        )
    return target


def _refuse_closed(target: Account) -> None:
    if target.bank.status != BankState.ACTIVE:
        said = format_lazy(_("{name} is paused: nothing new goes to it."), name=target.bank.name)
        raise BankPaused(said, bank=target.bank.name)
    if target.status != AccountState.ACTIVE:
        said = format_lazy(_("The account {name} is frozen: nothing is paid to or from it."), name=target.iban)
        raise AccountFrozen(said, account=target.iban)


def _sources(plan: Plan, target: Account) -> list[Source]:
    payload = plan.payload
    return sweeps.sources(
        currency=payload["currency"],
        ibans=payload["source_accounts"],
        bank=payload["source_bank"],
        target=target.pk,
        keep_minimum=Decimal(payload["keep_minimum"]),
    )


def _warnings(plan: Plan, lines: Sequence[Line], target: Account) -> list[dict[str, Any]]:
    taken = {line.iban for line in lines}
    own = {line.iban: line.amount for line in lines}
    found = _sources(plan, target)
    told: list[tuple[Template, dict[str, Any], list[str]]] = [
        (OTHER_BANK, {"bank": target.bank.name}, [line.iban for line in lines if not line.is_internal]),
        (CLOSED, {}, [source.iban for source in found if not source.open]),
        (NOTHING_TO_SWEEP, {}, [source.iban for source in found if source.open and source.iban not in taken]),
        (PROMISED, {}, [source.iban for source in found if source.promised > own.get(source.iban, 0)]),
    ]
    return [template.of(also={"accounts": accounts}, **facts) for template, facts, accounts in told if accounts]


# --- what the answers mean ---


def _note_transfer(turn: Turn, step: Step, answer: Answered) -> None:
    match answer:
        case Done(result=result):
            turn.accepted[step.pk] = str(result.get("reference", ""))
        case Refused(code=code, reason=reason):
            turn.refused[step.pk] = f"{code}: {reason}"
        case NotStarted() | NeverHappened():
            turn.not_sent[step.pk] = step.attempt


def _note_undoing(turn: Turn, step: Step, undone: UUID, answer: Answered) -> None:
    """What is noted of a way back that there is not, or of a transfer that has ended, finds nothing to move."""
    match answer:
        case Done(result=result) if result.get("way") == CAME_BACK:
            turn.came_back[undone] = str(result.get("reason", ""))
        case Done(result=result) if result.get("way") != SENT_BACK:
            turn.recalled.append(undone)
            turn.accepted[step.pk] = str(result.get("reference", ""))  # a person may have resolved a way back
        case Executed():
            turn.executed.append(undone)
        case _:
            _note_transfer(turn, step, answer)
