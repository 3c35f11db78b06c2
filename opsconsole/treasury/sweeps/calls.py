"""Talking to banks about sweeps: outside any transaction, many at a time, and never guessing what an answer means.

What a sweep transferred is taken back in one of two ways. What the bank has not executed is recalled. What it has is
paid back from the target by a payment of its own: then the answer is `Executed`, and the engine comes again with the
same step, once the ledger has opened that way back and the money has left the target's account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from opsconsole.plans.models import Step
from opsconsole.plans.outcomes import (
    CannotTell,
    Done,
    NeverHappened,
    NotStarted,
    Outcome,
    Probed,
    Refused,
    Unclear,
)
from opsconsole.treasury.answers import probed, submitted
from opsconsole.treasury.bank_gateways import gateway_for
from opsconsole.treasury.gateways import base
from opsconsole.treasury.gateways.base import BankGateway, FileGateway, PaymentGateway, PaymentState
from opsconsole.treasury.models import Bank, Sweep
from opsconsole.treasury.payouts.calls import nothing_sent_yet
from opsconsole.treasury.payouts.file_submissions import submit_file
from opsconsole.treasury.states import SweepState
from opsconsole.treasury.sweeps import reservations as sweeps
from opsconsole.treasury.sweeps.reservations import Line

RECALLED, SENT_BACK, CAME_BACK = "recall", "payment", "came_back"


@dataclass(frozen=True, slots=True)
class Executed(NotStarted):
    """The bank has executed the transfer: no recall, the money goes back by a payment of its own, and at once."""

    progress: ClassVar[bool] = True


def submit(steps: Sequence[Step]) -> list[Outcome]:
    """Hand the transfer of each step to the source's bank, under the step's key."""
    with nothing_sent_yet():
        lines = sweeps.lines_of([step.pk for step in steps])
        banks = _banks(lines.values())
    outcomes = _submit(list(lines.values()), banks)
    return [outcomes[lines[step.pk].id] for step in steps]


def undo(steps: Sequence[Step]) -> list[Outcome]:
    """Pay back where there is a way back, recall where there is none."""
    with nothing_sent_yet():
        opened = sweeps.lines_of([step.pk for step in steps])
        back = {step: line for step, line in opened.items() if line.status == SweepState.SENDING}
        undone = sweeps.lines_of([step.undoes_id for step in steps if step.undoes_id])
        banks = _banks([*back.values(), *undone.values()])
    paid = {pk: _by_way(outcome, SENT_BACK) for pk, outcome in _submit(list(back.values()), banks).items()}
    outcomes: dict[UUID, Outcome] = {step: paid[line.id] for step, line in back.items()}
    rest = [(step, undone[step.undoes_id]) for step in steps if step.pk not in back and step.undoes_id is not None]
    outcomes.update(_recall(rest, banks))
    return [outcomes[step.pk] for step in steps]


def ask(steps: Sequence[Step]) -> list[Probed]:
    """Ask the banks what they have under the keys of these transfers, or of their ways back."""
    lines = sweeps.lines_of([pk for step in steps for pk in (step.pk, step.undoes_id) if pk])
    banks = _banks(lines.values())
    about = {step.pk: _line_asked_for(step, lines) for step in steps}
    findings = _status([line for line in about.values() if line is not None], banks)
    answers: list[Probed] = []
    for step in steps:
        line = about[step.pk]
        if line is None:
            answers.append(CannotTell("no transfer of this step is on record"))
        elif not banks[line.bank].probing:
            answers.append(CannotTell(f"{banks[line.bank].name} is not asked: its probing is off"))
        else:
            honours_key = gateway_for(banks[line.bank]).honours_key
            answers.append(_probed(step, line, findings[line.id], honours_key=honours_key))
    return answers


# Submitting


def _submit(lines: Sequence[Line], banks: dict[str, Bank]) -> dict[UUID, Outcome]:
    """The outcome of each transfer; those of one bank go out side by side."""
    outcomes: dict[UUID, Outcome] = {}
    for gateway, group in _by_bank(lines, banks):
        if isinstance(gateway, PaymentGateway):
            answers = gateway.submit_many([line.order for line in group])
            outcomes.update({line.id: submitted(answer) for line, answer in zip(group, answers, strict=True)})
        elif isinstance(gateway, FileGateway):
            for line in group:
                outcomes[line.id] = submit_file(
                    gateway,
                    line.key,
                    [line.order],
                    created_at=Sweep.objects.values_list("created_at", flat=True).get(pk=line.id),
                    count=1,
                    control_sum=line.amount,
                )
    return outcomes


def _by_way(outcome: Outcome, way: str) -> Outcome:
    return Done({**outcome.result, "way": way}) if isinstance(outcome, Done) else outcome


# Recalling


def _recall(pairs: Sequence[tuple[Step, Line]], banks: dict[str, Bank]) -> dict[UUID, Outcome]:
    """Recall transfers; where it is too late for that, find out what became of them."""
    outcomes: dict[UUID, Outcome] = {}
    steps: dict[UUID, Step] = {}
    asked: list[Line] = []
    late: list[tuple[Line, str]] = []
    for step, line in pairs:
        known = _without_asking(line)
        if known is None:
            steps[line.id] = step
            asked.append(line)
        else:
            outcomes[step.pk] = known
    for gateway, group in _by_bank(asked, banks):
        answers = gateway.recall_many([base.Recall(steps[line.id].key, line.reference) for line in group])
        for line, answer in zip(group, answers, strict=True):
            if isinstance(answer, base.TooLate):
                late.append((line, answer.reason))
            else:
                outcomes[steps[line.id].pk] = _recalled(answer)
    findings = _status([line for line, _ in late], banks)
    for line, reason in late:
        outcomes[steps[line.id].pk] = _after_too_late(line, findings[line.id], reason)
    return outcomes


def _without_asking(line: Line) -> Outcome | None:
    if line.status in (SweepState.FAILED, SweepState.RETURNED, SweepState.RECALLED):
        return Done({"way": CAME_BACK, "reason": f"the transfer is {line.status}"})
    if line.status == SweepState.SETTLED:  # since this step was marked: its way back opens at the next boundary
        return Executed("the bank has executed it")
    if not line.reference:
        return Refused("no_reference", "nobody noted the bank's own reference, and without it nothing is recalled")
    return None


def _recalled(answer: base.Recalled | base.NotSent | base.Ambiguous) -> Outcome:
    match answer:
        case base.Recalled():
            return Done({"way": RECALLED})
        case base.NotSent(detail=detail, retry_after=pause):
            return NotStarted(detail, pause)
        case base.Ambiguous(detail=detail):
            return Unclear(detail)


def _after_too_late(line: Line, finding: base.Finding, reason: str) -> Outcome:
    match finding:
        case base.Known(state=state) if is_final(state, internal=line.is_internal):
            return Executed(f"the bank has it as {state.value}")
        case base.Known(state=PaymentState.EXECUTED):
            return NotStarted("the bank has executed it, and it has not arrived yet")
        case base.Known(state=PaymentState.ACCEPTED):
            return Refused(
                "not_executed",
                f"it cannot be recalled any more ({reason}), and the bank has not said yet that it executed it: roll"
                " back again when it has",
            )
        case base.Known():
            return Done({"way": CAME_BACK, "reason": _said(finding)})
        case base.NoAnswer(detail=detail, retry_after=pause):
            return NotStarted(detail, pause)
    return Unclear(f"it cannot be recalled any more ({reason}), and the bank does not tell what became of it")


def is_final(state: PaymentState, *, internal: bool) -> bool:
    """Whether the money has arrived for good: between two accounts of one bank, executing is the end of it."""
    return state == PaymentState.SETTLED or (internal and state == PaymentState.EXECUTED)


# Asking


def _line_asked_for(step: Step, lines: dict[UUID, Line]) -> Line | None:
    own = lines.get(step.pk)
    if step.undoes_id is None or (own is not None and own.status == SweepState.SENDING):
        return own
    return lines.get(step.undoes_id)


def _status(lines: Sequence[Line], banks: dict[str, Bank]) -> dict[UUID, base.Finding]:
    findings: dict[UUID, base.Finding] = {}
    for gateway, group in _by_bank([line for line in lines if banks[line.bank].probing], banks):
        answers = gateway.status_many([line.key for line in group])
        findings.update({line.id: answer for line, answer in zip(group, answers, strict=True)})
    silent = base.CannotTell("the bank is not asked: its probing is off")
    return {line.id: findings.get(line.id, silent) for line in lines}


def _probed(step: Step, line: Line, finding: base.Finding, *, honours_key: bool) -> Probed:
    if line.step_id == step.pk:  # a payment: the transfer itself, or its way back
        answer = probed(step, finding, honours_key=honours_key, paying=True)
        done_back = isinstance(answer, Done) and step.undoes_id is not None
        return Done({**answer.result, "way": SENT_BACK}) if done_back else answer
    match finding:
        case base.Known(state=PaymentState.RECALLED):
            return Done({"way": RECALLED})
        case base.Known(state=PaymentState.RETURNED | PaymentState.REJECTED):
            return Done({"way": CAME_BACK, "reason": _said(finding)})
        case base.Known():
            return NeverHappened()  # not recalled: that is tried again, or paid back where it is too late
    return probed(step, finding, honours_key=honours_key)


def _said(known: base.Known) -> str:
    return f"{known.state.value} {known.reason}".strip()


# Banks


def _by_bank(lines: Sequence[Line], banks: dict[str, Bank]) -> Iterator[tuple[BankGateway, list[Line]]]:
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        groups[line.bank].append(line)
    for code, group in groups.items():
        yield gateway_for(banks[code]), group


def _banks(lines: Iterable[Line]) -> dict[str, Bank]:
    return {bank.code: bank for bank in Bank.objects.filter(code__in={line.bank for line in lines})}
