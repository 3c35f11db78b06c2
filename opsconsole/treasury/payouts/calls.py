"""Talking to banks for a payout batch: what is read before the first call, and what is noted of each answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Unavailable
from opsconsole.plans.models import Step
from opsconsole.plans.outcomes import Answered, Done, NeverHappened, NotStarted, Refused, Skipped
from opsconsole.plans.states import Direction
from opsconsole.treasury.models import Bank
from opsconsole.treasury.payouts.submissions import Turn


@contextmanager
def nothing_sent_yet() -> Iterator[None]:
    """Read what is needed before the first call: raises Unavailable, which is certain that nothing went out."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(format_lazy(_("The records could not be read: {error}"), error=error)) from error


def by_bank(steps: Sequence[Step]) -> list[tuple[Bank, list[Step]]]:
    """The steps by the bank they go to."""
    groups: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        groups[step.payload["bank"]].append(step)
    banks = {bank.code: bank for bank in Bank.objects.filter(code__in=groups)}
    return [(banks[code], group) for code, group in groups.items()]


def references_of(steps: list[UUID]) -> dict[UUID | None, str]:
    """The bank's own reference of what each of these steps sent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select distinct step_id, bank_reference from treasury_instructions where step_id = any(%s)", [steps]
        )
        return dict(cursor.fetchall())


def submission_key(step: Step) -> str:
    """The key under which the payment went out, of a step or of the step that it undoes."""
    if step.direction == Direction.EXECUTE or step.undoes_id is None:
        return step.key
    return str(Step.objects.values_list("key", flat=True).get(pk=step.undoes_id))


def note_execution(turn: Turn, step: Step, answer: Answered) -> None:
    """What the answer to a submission means for its payments."""
    match answer:
        case Done(result=result):
            turn.accepted[step.pk] = str(result.get("reference", ""))
        case Refused(code=code, reason=reason):
            turn.refused[step.pk] = f"{code}: {reason}"
        case NotStarted() | NeverHappened():
            turn.not_sent[step.pk] = step.attempt


def note_recall(turn: Turn, undone: UUID, answer: Answered) -> None:
    """What the answer to a recall means for the payments of the step that is undone."""
    match answer:
        case Done():
            turn.recalled.append(undone)
        case Skipped(reason=reason):
            turn.too_late[undone] = reason
