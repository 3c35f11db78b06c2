"""Reads: who is told of an event, what is known of it, and what waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connection

from opsconsole.approvals import selectors as approvals
from opsconsole.approvals.models import Decision, Request
from opsconsole.approvals.states import DecisionKind, RequestState
from opsconsole.approvals.subjects import sight_of
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.notifications.kinds import Kind, severity_of
from opsconsole.notifications.models import Channel, Subscription
from opsconsole.notifications.states import ChannelKind, Severity

REMIND_SHARE = 4  # people are reminded when a quarter of the time to live is left,
REMIND_AT_MOST = timedelta(hours=12)  # and not earlier than this before the end


@dataclass(frozen=True, slots=True)
class Receivers:
    """Who is to be told: each channel once and each person once, however many subscriptions name them."""

    channels: tuple[Channel, ...]
    people: tuple[User, ...]


def mail_is_set_up() -> bool:
    """Whether there is a mail server to send by."""
    return bool(settings.EMAIL_HOST)


def receivers_of(topic: str, kind: Kind, data: Mapping[str, Any]) -> Receivers:
    """Who wants to be told of this event, and may know of it."""
    channels: dict[UUID, Channel] = {}
    people: dict[UUID, User] = {}
    for subscription in _fitting(topic, severity_of(kind, data)):
        channel = subscription.channel
        if channel is None:
            people |= {user.pk: user for user in _people_of(subscription)}
        elif channel.active and any(_role_may(subscription.role, one) for one in _permissions(kind, data)):
            channels[channel.pk] = channel
    if not mail_is_set_up():
        channels = {key: channel for key, channel in channels.items() if channel.kind != ChannelKind.EMAIL}
        people = {}
    told = [user for user in people.values() if user.email and may_be_told(user, kind, data)]
    return Receivers(tuple(channels.values()), tuple(told))


def may_be_told(user: User, kind: Kind, data: Mapping[str, Any]) -> bool:
    """Whether this person may know of such an event and, of what asks for a decision, may decide it."""
    actor = Actor.of(user)
    if not any(actor.may(permission) for permission in _permissions(kind, data)):
        return False
    if not kind.deciders:
        return True
    asked = Request.objects.filter(pk=str(data["request"])) if "request" in data else Request.objects.none()
    return approvals.decidable_by(asked, actor).exists()


def _permissions(kind: Kind, data: Mapping[str, Any]) -> list[str]:
    """The rights of which one lets people know: the kind's, and the sight of what a request for approval is about."""
    asked = Request.objects.filter(pk=str(data["request"])).first() if "request" in data else None
    sight = sight_of(asked.subject_kind) if asked is not None else ""
    return [kind.permission, *([sight] if sight else [])]


def _fitting(topic: str, severity: Severity) -> list[Subscription]:
    subscriptions = Subscription.objects.select_related("channel", "user").order_by("pk")
    return [
        subscription
        for subscription in subscriptions
        if severity.rank >= Severity(subscription.minimum).rank
        and any(fnmatchcase(topic, pattern) for pattern in subscription.patterns)
    ]


def _people_of(subscription: Subscription) -> list[User]:
    if subscription.user is not None:
        return [subscription.user]
    return list(User.objects.filter(groups__name=subscription.role, is_active=True).order_by("pk"))


def _role_may(role: str, permission: str) -> bool:
    app, _dot, codename = permission.partition(".")
    return Group.objects.filter(
        name=role, permissions__codename=codename, permissions__content_type__app_label=app
    ).exists()


def known_of(topic: str, subject_kind: str, subject_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """What approvals know of the event's subject: what it is, how much it moves, who asked, who is still needed."""
    if "request" in data:
        request = Request.objects.filter(pk=data["request"]).select_related("requested_by").first()
    else:
        asked = Request.objects.filter(subject_kind=subject_kind, subject_id=subject_id)
        request = asked.select_related("requested_by").order_by("-created_at").first()
    if request is None:
        return {}
    impact = request.content.get("estimated_impact") or {} if isinstance(request.content, dict) else {}
    known = {name: impact[name] for name in ("sums", "count") if impact.get(name)}
    known["requested_by"] = request.requested_by.username
    if topic in ("approval.requested", "approval.expiring", "approval.reopened"):
        known["open"] = ", ".join(str(slot) for slot in approvals.tally(request).quorum.open)
        known["expires_at"] = f"{request.expires_at:%Y-%m-%d %H:%M} UTC"
    if topic == "approval.rejected":
        said = Decision.objects.filter(request=request, kind=DecisionKind.REJECT).order_by("-at").first()
        known["reason"] = said.reason if said else ""
    return known


def requests_near_their_end() -> list[Request]:
    """Pending requests that end soon and of which nobody was reminded yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select r.id from approvals_requests r
            where r.status = %s and r.expires_at > now()
              and r.expires_at - least((r.expires_at - r.created_at) / %s, make_interval(secs => %s)) <= now()
              and not exists (select from notifications_reminders m where m.request_id = r.id)
            order by r.expires_at
            """,
            [RequestState.PENDING.value, REMIND_SHARE, REMIND_AT_MOST.total_seconds()],
        )
        return list(Request.objects.filter(pk__in=[row[0] for row in cursor.fetchall()]).order_by("expires_at"))


def work_waits() -> bool:
    """Whether a delivery is due to an endpoint that may be spoken to now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select exists (
              select from notifications_lanes l
              where (l.open_until is null or l.open_until <= now())
                and exists (select from notifications_deliveries d where d.lane = l.name
                            and d.status in ('due', 'sending') and d.next_attempt_at <= now())
            )
            """
        )
        return cast(bool, cursor.fetchone()[0])
