"""Approvals as operations: the generic door's decisions, the signer keys, and what the sweeper does."""

from __future__ import annotations

from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import access, kernel, moves, reviews, selectors, subjects
from opsconsole.approvals.errors import (
    AlreadyReviewed,
    NotAReviewer,
    ReasonMissing,
    ReviewEnded,
    SignerKeyRevoked,
)
from opsconsole.approvals.models import Request, Review, ReviewAnswer, SignerKey
from opsconsole.approvals.passkeys import Assertion
from opsconsole.approvals.states import WAITING_REVIEWS, DecisionKind, ReviewCause, ReviewState, ReviewVerdict
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record


@operation
def decide_request(
    *, request_id: UUID, approved: bool, comments: str, signature: str | Assertion, actor: Actor
) -> Request:
    """Approve the request, or reject it, which ends it; raises what `kernel.decide` does."""
    request = access.request_for(actor, request_id)
    kind = DecisionKind.APPROVE if approved else DecisionKind.REJECT
    return kernel.decide(request, kind=kind, reason=comments, signature=signature, actor=actor)


@operation
def revoke_decision(*, request_id: UUID, comments: str, actor: Actor) -> Request:
    """Take back the actor's own approval, until it is used; raises NothingToRevoke."""
    request = access.request_for(actor, request_id)
    return kernel.decide(request, kind=DecisionKind.REVOKE, reason=comments, actor=actor)


@operation
def comment_on_request(*, request_id: UUID, comments: str, actor: Actor) -> Request:
    """Add a comment, which decides nothing."""
    request = access.request_for(actor, request_id)
    return kernel.decide(request, kind=DecisionKind.COMMENT, reason=comments, actor=actor)


@operation
def revoke_signer_key(*, key_id: UUID, actor: Actor) -> SignerKey:
    """End the use of the actor's own key; approvals signed with it that are not used yet stop counting."""
    key = access.own_key(actor, key_id)
    if key.revoked_at is not None:
        raise SignerKeyRevoked(_("The key was revoked before."), revoked_at=key.revoked_at)
    key.revoked_at = selectors.database_clock()
    key.save(update_fields=["revoked_at"])
    record(actor, "signer_key.revoked", key, before={"revoked_at": None}, after={"revoked_at": key.revoked_at})
    return key


@operation
def answer_review(*, review_id: UUID, verdict: ReviewVerdict, comment: str, actor: Actor) -> Review:
    """Say what one thinks of what was done; the last answer that is needed ends the review, an objection at once.

    Raises NotAReviewer for whoever had a part in it or lacks the role, AlreadyReviewed, ReviewEnded, ReasonMissing
    without a comment.
    """
    review = access.review_to_answer(actor, review_id)
    user = moves.person(actor)
    if str(user.pk) in review.barred:
        raise NotAReviewer(_("You had a part in this; other people must review it."))
    if selectors.roles_of(user).isdisjoint(review.roles):
        raise NotAReviewer(
            format_lazy(_("This takes one of the roles {roles}."), roles=", ".join(review.roles)), roles=review.roles
        )
    if review.answers.filter(user=user).exists():
        raise AlreadyReviewed(_("You have answered this review."), review=str(review.pk))
    if review.status not in WAITING_REVIEWS:
        raise ReviewEnded(
            format_lazy(_("The review is {state}."), state=review.state.label),
            review=str(review.pk),
            status=review.status,
        )
    if not comment.strip():
        raise ReasonMissing(_("A review says what was looked at."), errors={"comment": [_("must not be blank")]})
    ReviewAnswer.objects.create(review=review, user=user, verdict=verdict, comment=comment)
    before, given = review.status, review.answers.count()
    if verdict == ReviewVerdict.OBJECT:
        review.move_to(ReviewState.OBJECTED)
    elif given >= review.needed:
        review.move_to(ReviewState.REVIEWED)
    if review.state.is_final:
        review.ended_at = selectors.database_clock()
        review.save(update_fields=["status", "ended_at"])
        reviews.tell(review, f"review.{review.status}", by=user.username, comment=comment)
    reviews.journal(
        review,
        actor,
        "review.answered",
        before={"status": before},
        after={"status": review.status, "verdict": verdict.value, "answers": given},
        reason=comment,
    )
    return review


@operation
def note_overdue_review(*, review_id: UUID, actor: Actor) -> bool:
    """Say that a review has not been answered in its day; False when it has, or that was said before."""
    review = Review.objects.get(pk=review_id)
    subjects.hooks_for(review.subject_kind).lock(review.subject_id)
    review = Review.objects.select_for_update().get(pk=review_id)
    if review.state is not ReviewState.OPEN or review.due_at > selectors.database_clock():
        return False
    review.move_to(ReviewState.OVERDUE).save(update_fields=["status"])
    reviews.journal(
        review,
        actor,
        "review.overdue",
        before={"status": ReviewState.OPEN.value},
        after={"status": review.status, "answers": review.answers.count()},
    )
    glass = review.cause == ReviewCause.BREAK_GLASS
    reviews.tell(review, "break_glass.review_overdue" if glass else "review.overdue")
    return True


@operation
def expire_request(*, request_id: UUID, actor: Actor) -> bool:
    """End a live request whose time to live is over; False when it is not."""
    return kernel.expire(request_id=request_id, actor=actor)


@operation
def recount_request(*, request_id: UUID, actor: Actor) -> bool:
    """Reopen an approved request whose quorum no longer stands; False when it does."""
    return kernel.recount(request_id=request_id, actor=actor)
