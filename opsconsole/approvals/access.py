"""What an actor may see of approvals; fetched, locked and permitted in one call."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet, TextField, UUIDField
from django.db.models.functions import Cast
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import subjects
from opsconsole.approvals.models import Request, Review, SignerKey
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, NotFound


def visible_requests(actor: Actor) -> QuerySet[Request]:
    """All requests, or those about subjects that the actor may see; raises Denied for one who may see none."""
    requests = Request.objects.select_related("requested_by")
    if actor.may("approvals.view_request"):
        return requests
    kinds = subjects.kinds_open_to(actor)
    wanted = Q(subject_kind__in=kinds) if kinds else Q()
    for kind, rows in subjects.opened_to(actor):
        # Only those that somebody has asked about: there may be a million others.
        asked = Request.objects.filter(subject_kind=kind).annotate(subject=Cast("subject_id", UUIDField()))
        ids = rows.filter(pk__in=asked.values("subject")).annotate(text=Cast("pk", TextField())).values("text")
        wanted |= Q(subject_kind=kind, subject_id__in=ids)
    if not wanted:
        actor.require("approvals.view_request")
    return requests.filter(wanted)


def request_for(actor: Actor, request_id: UUID) -> Request:
    """One request to look at; raises NotFound also for one this actor may not see."""
    try:
        found = visible_requests(actor).filter(pk=request_id).first()
    except Denied:
        found = None
    if found is None:
        raise NotFound(_("There is no such approval request."), request=str(request_id))
    return found


def request_to_decide(actor: Actor, request_id: UUID) -> Request:
    """One request, locked behind its subject, for an actor who may decide; raises NotFound or Denied."""
    request = request_for(actor, request_id)
    actor.require("approvals.decide_request")
    return locked(request)


def locked(request: Request) -> Request:
    """The request's row as it is now, locked; its subject's row is locked first, as every writer does."""
    subjects.hooks_for(request.subject_kind).lock(request.subject_id)
    return Request.objects.select_for_update(of=("self",)).select_related("requested_by").get(pk=request.pk)


def locked_by_id(request_id: UUID) -> Request:
    """The same, for a part of the system that knows the id; raises NotFound."""
    request = Request.objects.filter(pk=request_id).first()
    if request is None:
        raise NotFound(_("There is no such approval request."), request=str(request_id))
    return locked(request)


def visible_reviews(actor: Actor) -> QuerySet[Review]:
    """The reviews this actor may see; raises Denied for one who may see none."""
    actor.require("approvals.view_review")
    return Review.objects.all()


def review_to_answer(actor: Actor, review_id: UUID) -> Review:
    """One review, locked behind its subject, for an actor who may answer; raises NotFound or Denied."""
    review = Review.objects.filter(pk=review_id).first() if actor.may("approvals.view_review") else None
    if review is None:
        raise NotFound(_("There is no such review."), review=str(review_id))
    actor.require("approvals.answer_review")
    subjects.hooks_for(review.subject_kind).lock(review.subject_id)
    return Review.objects.select_for_update().get(pk=review.pk)


def own_key(actor: Actor, key_id: UUID) -> SignerKey:
    """One of the actor's own signer keys, locked; raises NotFound for anybody else's."""
    key = SignerKey.objects.select_for_update().filter(pk=key_id, user=actor.user).first() if actor.user else None
    if key is None:
        raise NotFound(_("You have no such signer key."), key=str(key_id))
    return key
