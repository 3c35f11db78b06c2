"""Subscriptions: a person says what they want to be told; who manages channels says it for roles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.operations import operation
from opsconsole.core.roles import ROLES
from opsconsole.journal.record import record
from opsconsole.notifications import access
from opsconsole.notifications.errors import BadSubscription, NoAddress
from opsconsole.notifications.kinds import is_known
from opsconsole.notifications.models import Channel, Subscription
from opsconsole.notifications.states import Severity

MOST_PATTERNS = 30
_PATTERN = re.compile(r"\*|[a-z_]+(\.([a-z_]+\*?|\*))*")


@operation
def subscribe_me(*, patterns: Sequence[str], minimum: str, actor: Actor) -> Subscription:
    """Have the actor told of these events at their own address; raises NoAddress, BadSubscription."""
    actor.require(access.SUBSCRIBE)
    if actor.user is None:
        raise Denied(_("Only a person has an address."))
    if not actor.user.email:
        raise NoAddress(_("You have no e-mail address here; ask whoever manages users to enter it."))
    return _added(actor, user=actor.user, patterns=patterns, minimum=minimum)


@operation
def subscribe_role(
    *, role: str, channel_id: UUID | None, patterns: Sequence[str], minimum: str, actor: Actor
) -> Subscription:
    """Have a role told of these events, through a channel or each member at their own address."""
    actor.require(access.MANAGE)
    if role not in ROLES:
        raise BadSubscription(
            format_lazy(_("There is no role {role}."), role=role), errors={"role": [_("is not a role")]}
        )
    return _added(actor, role=role, channel=_channel(actor, channel_id), patterns=patterns, minimum=minimum)


@operation
def change_subscription(
    *, subscription_id: UUID, patterns: Sequence[str], minimum: str, channel_id: UUID | None, actor: Actor
) -> Subscription:
    """Say anew which events a subscription is for, and of a role's, through which channel."""
    row = access.subscription_to_change(actor, subscription_id)
    before = _facts(row)
    if row.user_id is not None and channel_id is not None:
        raise BadSubscription(_("A person is told at their own address."), errors={"channel": [_("must be left out")]})
    row.patterns, row.minimum = _checked_patterns(patterns), _checked_minimum(minimum)
    row.channel = _channel(actor, channel_id) if row.user_id is None else None
    row.save(update_fields=["patterns", "minimum", "channel"])
    after = _facts(row)
    if after != before:
        record(actor, "notification.subscription_changed", row, before=before, after=after)
    return row


@operation
def remove_subscription(*, subscription_id: UUID, actor: Actor) -> Subscription:
    """End a subscription; what it had asked for so far is still delivered."""
    row = access.subscription_to_change(actor, subscription_id)
    record(actor, "notification.subscription_removed", row, before=_facts(row))
    key = row.pk
    row.delete()
    row.pk = key
    return row


def _added(actor: Actor, *, patterns: Sequence[str], minimum: str, **whom: Any) -> Subscription:
    row = Subscription.objects.create(patterns=_checked_patterns(patterns), minimum=_checked_minimum(minimum), **whom)
    row.refresh_from_db()
    record(actor, "notification.subscription_added", row, after=_facts(row))
    return row


def _channel(actor: Actor, channel_id: UUID | None) -> Channel | None:
    return None if channel_id is None else access.channel_to_manage(actor, channel_id)


def _facts(row: Subscription) -> dict[str, Any]:
    return {
        "role": row.role,
        "person": row.user.username if row.user else "",
        "channel": row.channel.name if row.channel else "",
        "patterns": list(row.patterns),
        "minimum": row.minimum,
    }


def _checked_patterns(patterns: Sequence[str]) -> list[str]:
    """The patterns, each once; raises BadSubscription for one that no event fits, as a misspelled one would."""
    wanted = list(dict.fromkeys(pattern.strip() for pattern in patterns if pattern.strip()))
    if not 0 < len(wanted) <= MOST_PATTERNS:
        raise BadSubscription(
            format_lazy(_("Name 1 to {most} kinds of events."), most=MOST_PATTERNS),
            errors={"patterns": [format_lazy(_("must be 1 to {most}"), most=MOST_PATTERNS)]},
        )
    wrong = [pattern for pattern in wanted if not _PATTERN.fullmatch(pattern) or not is_known(pattern)]
    if wrong:
        raise BadSubscription(
            format_lazy(_("No event fits {patterns}."), patterns=", ".join(wrong)[:200]),
            errors={"patterns": [_("no event fits one of these")]},
        )
    return wanted


def _checked_minimum(minimum: str) -> str:
    if minimum not in Severity.values:
        raise BadSubscription(_("There is no such severity."), errors={"minimum": [_("is no severity")]})
    return minimum
