"""Reads: the terms of an action, who stands where in a request, and what is due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import quorum, signatures, signed
from opsconsole.approvals.errors import NoPolicy
from opsconsole.approvals.models import Decision, Policy, Request, Review, SignerKey
from opsconsole.approvals.quorum import Quorum
from opsconsole.approvals.states import LIVE, WAITING_REVIEWS, DecisionKind, RequestState, ReviewState
from opsconsole.approvals.terms import ANY_CURRENCY_SUM, Terms, Threshold, slots_from_json
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.texts import Text


def active_policy(action: str) -> Policy | None:
    """The policy of an action as it is now; None when nobody has to be asked, or nobody has said who."""
    return Policy.objects.filter(action=action, active=True).first()


def policy_for(
    action: str,
    *,
    sums: Mapping[str, Decimal] | None = None,
    measures: Mapping[str, Decimal] | None = None,
    required_approvals: int | None = None,
) -> Terms:
    """What it takes to approve the action now; `sums` says by currency what money it moves, `measures` what else.

    `required_approvals` may raise the number of people, never lower it. Raises NoPolicy, MeasureMissing for a
    threshold on something that was not measured, and Invalid for a wish beyond reason.
    """
    policy = active_policy(action)
    if policy is None:
        raise NoPolicy(format_lazy(_("No policy says who must agree to {action}."), action=action), action=action)
    terms = Terms(
        action=policy.action,
        version=policy.version,
        slots=slots_from_json(policy.slots),
        executors=tuple(policy.executors),
        signature_required=policy.signature_required,
        ttl=policy.ttl,
        requester_may_approve=policy.requester_may_approve,
        reviewers=policy.reviewers,
    )
    measured = dict(measures or {})
    if sums is not None:
        measured[ANY_CURRENCY_SUM] = max(sums.values(), default=Decimal(0))
    thresholds = [Threshold.from_json(value) for value in policy.thresholds]
    return terms.under(thresholds, measured).raised_to(required_approvals)


def live_request(subject_kind: str, subject_id: object, action: str) -> Request | None:
    """The request for a subject and action that has not ended; there is one at most."""
    return Request.objects.filter(
        subject_kind=subject_kind, subject_id=str(subject_id), action=action, status__in=LIVE
    ).first()


def current_roles(users: Iterable[UUID]) -> dict[str, frozenset[str]]:
    """The roles that these users hold now, by user id; nobody who is not active."""
    found: dict[str, set[str]] = {}
    memberships = User.objects.filter(pk__in=set(users), is_active=True).values_list("pk", "groups__name")
    for user, role in memberships:
        found.setdefault(str(user), set()).update([role] if role else [])
    return {user: frozenset(roles) for user, roles in found.items()}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is active, and the roles they hold now."""

    id: str
    name: str
    roles: frozenset[str]


def people_in(roles: Iterable[str]) -> list[Person]:
    """The active people who hold any of these roles now, by name."""
    held: dict[tuple[str, str], set[str]] = {}
    members = User.objects.filter(is_active=True, groups__name__in=set(roles)).order_by("username")
    for pk, name, role in members.values_list("pk", "username", "groups__name"):
        held.setdefault((str(pk), name), set()).add(role)
    return [Person(pk, name, frozenset(theirs)) for (pk, name), theirs in held.items()]


def roles_of(user: User) -> frozenset[str]:
    """The roles that this user holds now, by the database and not by what a session remembers.

    As far as the credential that they came with carries.
    """
    return _as_far_as(user.within, current_roles([user.pk]).get(str(user.pk), frozenset()))


def _as_far_as(within: Iterable[str] | None, roles: frozenset[str]) -> frozenset[str]:
    return roles if within is None else roles & frozenset(within)


@dataclass(frozen=True, slots=True)
class Tally:
    """The approvals that were not revoked, oldest first; what speaks against some; whose count, and who is seated.

    `approvers` maps the id of each user whose approval counts to the roles they hold now.
    """

    standing: tuple[Decision, ...]
    objections: Mapping[UUID, Text]
    approvers: Mapping[str, frozenset[str]]
    quorum: Quorum

    def approval_of(self, user_id: UUID) -> Decision | None:
        """This user's approval that was not revoked."""
        return next((decision for decision in self.standing if decision.user_id == user_id), None)


def tally(request: Request) -> Tally:
    """Count a request afresh: who is active, holds which roles now, and has signed with a key still in use.

    With the request's row locked this is the truth; without, it is what to show.
    """
    terms = request.terms
    standing = tuple(
        request.decisions.filter(kind=DecisionKind.APPROVE, revoked_by=None)
        .select_related("user", "signer_key")
        .order_by("at", "id")
    )
    roles = current_roles(decision.user_id for decision in standing)
    objections: dict[UUID, Text] = {}
    approvers: dict[str, frozenset[str]] = {}
    for decision in standing:
        held = roles.get(str(decision.user_id))
        if held is not None:
            held = _as_far_as(decision.within, held)  # a narrowed approval never fills another role's place
        if objection := _objection(request, terms, decision, held):
            objections[decision.pk] = objection
        elif held:
            approvers[str(decision.user_id)] = held
    return Tally(standing, objections, approvers, quorum.count(terms.slots, approvers, request.barred))


def _objection(request: Request, terms: Terms, decision: Decision, roles: frozenset[str] | None) -> Text:
    """Why an approval that was not revoked does not count now; empty when it does."""
    if roles is None:
        return _("the person is no longer active")
    if not roles & set(terms.roles):
        return _("the person no longer holds a role that is asked for")
    if decision.digest != request.digest:
        return _("it was given for other content")
    return _objection_to_signature(terms, decision)


def _objection_to_signature(terms: Terms, decision: Decision) -> Text:
    key = decision.signer_key
    if key is None:
        return _("it is not signed") if terms.signature_required else ""
    if key.revoked_at is not None:
        return _("the key it was signed with is revoked")
    # Verified each time: the row may have come from elsewhere than from a person with the key.
    return "" if signed.proves_itself(decision) else _("its signature does not verify")


def summary(request: Request) -> list[dict[str, Any]]:
    """The approvals that fill a slot now, as plain JSON: `{"user", "role", "at", "signed"}`, oldest first."""
    counted = tally(request)
    seats = {seat.person: seat for seat in counted.quorum.filled}
    return [
        {
            "user": decision.user.username,
            "role": seats[str(decision.user_id)].role,
            "at": decision.at.isoformat(),
            "signed": decision.signed,
        }
        for decision in counted.standing
        if str(decision.user_id) in seats
    ]


def nth_approval(request: Request, user_id: UUID) -> int:
    """The number that this person's next approval of the request has: 1, and one more for each revocation."""
    return 1 + request.decisions.filter(user_id=user_id, kind=DecisionKind.REVOKE).count()


def text_to_sign(request: Request, actor: Actor, kind: DecisionKind = DecisionKind.APPROVE) -> str:
    """The exact text that the actor signs to decide on the request."""
    nth = 1
    if actor.user is not None and kind is DecisionKind.APPROVE:
        nth = nth_approval(request, actor.user.pk)
    return signatures.signing_text(request_id=request.pk, digest=request.digest, decision=kind.value, nth=nth)


def decidable_by(requests: QuerySet[Request], actor: Actor) -> QuerySet[Request]:
    """Of these requests, the pending ones that this actor may still approve."""
    if actor.user is None or not actor.roles:
        return requests.none()
    mine = Decision.objects.filter(request=OuterRef("pk"), user=actor.user, kind=DecisionKind.APPROVE, revoked_by=None)
    return (
        requests.filter(
            status=RequestState.PENDING,
            expires_at__gt=database_clock(),
            policy__roles__has_any_keys=sorted(actor.roles),
        )
        .filter(~Q(requested_by=actor.user) | Q(policy__requester_may_approve=True, policy__required_approvals__gt=1))
        .exclude(editors__contains=[actor.id])
        .exclude(Exists(mine))
    )


def history(request: Request) -> list[Decision]:
    """Everything that was said to the request, oldest first."""
    return list(request.decisions.select_related("user", "signer_key").order_by("at", "id"))


def keys_of(actor: Actor) -> QuerySet[SignerKey]:
    """The actor's signer keys, revoked ones included, newest first."""
    return SignerKey.objects.filter(user=actor.user).order_by("-created_at", "-id")


def requests_past_their_time() -> list[UUID]:
    """Live requests whose time to live is over, the longest overdue first."""
    return list(
        Request.objects.filter(status__in=LIVE, expires_at__lte=database_clock())
        .order_by("expires_at")
        .values_list("pk", flat=True)
    )


def approved_requests() -> list[UUID]:
    """Requests that are approved and not yet used."""
    return list(Request.objects.filter(status=RequestState.APPROVED).order_by("pk").values_list("pk", flat=True))


def reviews_past_their_time() -> list[UUID]:
    """Open reviews that nobody has noted as overdue yet, the longest overdue first."""
    due = Review.objects.filter(status=ReviewState.OPEN, due_at__lte=database_clock())
    return list(due.order_by("due_at").values_list("pk", flat=True)[:200])


def answerable_by(reviews: QuerySet[Review], actor: Actor) -> QuerySet[Review]:
    """Of these reviews, those that wait for somebody like this actor."""
    if actor.user is None or not actor.roles or not actor.may("approvals.answer_review"):
        return reviews.none()
    return (
        reviews.filter(status__in=WAITING_REVIEWS, roles__has_any_keys=sorted(actor.roles))
        .exclude(barred__contains=[actor.id])
        .exclude(answers__user=actor.user)
    )


def database_clock() -> datetime:
    """The database's time at this moment, not that of the transaction's start: a lock may have taken long."""
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        return cast(datetime, cursor.fetchone()[0])
