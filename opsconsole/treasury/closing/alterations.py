"""What steps of plans do to our own records, each once: written under the step's key, in the operation that does it.

A step's row is locked from the first look to the commit. So the engine cannot call its outcome unknown while the
operation may still commit, and whoever asks afterwards gets the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model

from opsconsole.core.canonical import to_plain
from opsconsole.core.faults import crashpoint
from opsconsole.core.operations import assert_in_operation
from opsconsole.journal.record import Subject
from opsconsole.plans.models import Step
from opsconsole.plans.outcomes import Done, NotStarted
from opsconsole.plans.states import StepState
from opsconsole.treasury.models import Alteration


def begin(step: Step) -> Done | NotStarted | None:
    """What is known of this step: done under its key before, taken from this worker, or None: now is the time."""
    assert_in_operation()
    current = Step.objects.select_for_update(no_key=True).get(pk=step.pk)
    made = Alteration.objects.filter(key=step.key).first()
    if made is not None:
        return Done(made.after)
    if current.status != StepState.RUNNING or current.attempt != step.attempt:
        return NotStarted("another worker has this step by now")
    crashpoint("treasury.alteration.before_change")
    return None


def note(step: Step, subject: Model, *, before: Mapping[str, Any], after: Mapping[str, Any]) -> Done:
    """Write down what the step did, under its key; `after` is its result."""
    assert_in_operation()
    about = Subject.of(subject)
    result = to_plain(dict(after))
    Alteration.objects.create(
        key=step.key,
        plan_id=step.plan_id,
        step=step,
        subject_kind=about.kind,
        subject_id=about.id,
        before=to_plain(dict(before)),
        after=result,
    )
    crashpoint("treasury.alteration.after_change")
    return Done(result)


def of_undone(step: Step) -> Alteration | None:
    """What the step did that this one undoes."""
    return Alteration.objects.filter(step_id=step.undoes_id).first() if step.undoes_id else None


def is_latest(made: Alteration) -> bool:
    """Whether no other step has altered the same record since."""
    # Whoever alters a record holds its row, so their times are in their order.
    about = Alteration.objects.filter(subject_kind=made.subject_kind, subject_id=made.subject_id)
    return not about.filter(made_at__gt=made.made_at).exists()


def results(keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What was done under these keys, as far as anything was."""
    return dict(Alteration.objects.filter(key__in=list(keys)).values_list("key", "after"))


def asked_by(step: Step) -> str:
    """Who had the run of this step started."""
    name = Step.objects.filter(pk=step.pk).values_list("run__requested_by", flat=True).first()
    return name or "unknown"
