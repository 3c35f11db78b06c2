"""Reviews after the fact: opened by the apps above inside their own operations, answered by people who had no part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from opsconsole.approvals import selectors, subjects
from opsconsole.approvals.models import Review
from opsconsole.approvals.states import ReviewCause
from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import to_plain
from opsconsole.core.operations import assert_in_operation
from opsconsole.journal.record import Subject, record

DUE_IN: Final = timedelta(hours=24)
REVIEWERS: Final = 2


def open_review(
    *,
    cause: ReviewCause,
    subject_kind: str,
    subject_id: object,
    title: str,
    facts: Mapping[str, Any],
    roles: Iterable[str],
    barred: Iterable[UUID | str],
    needed: int,
    actor: Actor,
) -> Review:
    """Ask `needed` people of these roles, none of them barred (user ids), to look at what was done, within a day."""
    assert_in_operation()
    now = selectors.database_clock()
    review = Review.objects.create(
        cause=cause,
        subject_kind=subject_kind,
        subject_id=str(subject_id),
        title=title,
        facts=to_plain(dict(facts)),
        roles=sorted(set(roles)),
        barred=sorted({str(user) for user in barred}),
        needed=needed,
        opened_by=actor.name,
        opened_at=now,
        due_at=now + DUE_IN,
    )
    journal(review, actor, "review.opened", after={"cause": cause.value, "due_at": review.due_at, **review.facts})
    tell(review, "review.opened")
    return review


def journal(
    review: Review,
    actor: Actor,
    verb: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Journal something about the review, on its subject."""
    subject = Subject(subjects.journal_kind(review.subject_kind), review.subject_id)
    facts = {"review": review.pk, "needed": review.needed, **(after or {})}
    record(actor, verb, subject, before=before, after=facts, reason=reason)


def tell(review: Review, topic: str, **data: Any) -> None:
    """Emit an event about the review, on its subject."""
    facts = {
        "review": str(review.pk),
        "cause": review.cause,
        "title": review.title,
        "status": review.status,
        "due_at": to_plain(review.due_at),
        **review.facts,
        **data,
    }
    outbox.emit(topic, kind=review.subject_kind, id=review.subject_id, data=facts)
