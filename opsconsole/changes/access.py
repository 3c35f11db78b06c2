"""Who may see and move which change: fetched, permitted and locked in one call."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.changes.errors import ChangeEnded, ChangeNotFound
from opsconsole.changes.kinds.base import kind_named
from opsconsole.changes.models import Change
from opsconsole.changes.states import OPEN
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied


def visible_changes(actor: Actor) -> QuerySet[Change]:
    """All changes, or those that the actor asked for or is meant by; raises Denied for one who may see none."""
    changes = Change.objects.select_related("requested_by").defer("secrets")
    if actor.may("changes.view_change"):
        return changes
    if actor.user is not None and actor.user.is_active:
        own = changes.filter(Q(requested_by=actor.user) | Q(concerned__contains=[actor.id]))
        if own.exists():
            return own
    raise Denied(
        format_lazy(
            _("{actor} lacks the permission {permission}."), actor=actor.name, permission="changes.view_change"
        ),
        permission="changes.view_change",
    )


def change_seen_by(actor: Actor, change_id: UUID) -> Change:
    """The change, to read; raises ChangeNotFound for one the actor may not see."""
    change = Change.objects.select_related("requested_by").defer("secrets").filter(pk=change_id).first()
    if change is None or not (actor.may("changes.view_change") or _is_about(change, actor)):
        raise ChangeNotFound(_("There is no such change."), change=str(change_id))
    return change


def change_to_decide(actor: Actor, change_id: UUID) -> Change:
    """The change, locked, for an actor who may decide on requests; raises ChangeNotFound or Denied."""
    seen = change_seen_by(actor, change_id)
    actor.require("approvals.decide_request")
    return lock_change(seen.pk)


def change_to_apply(actor: Actor, change_id: UUID) -> Change:
    """The change, locked, for somebody who may carry changes out; whether the policy lets them, approvals say.

    What is collected is for the person it is about alone. Raises ChangeNotFound or Denied.
    """
    seen = change_seen_by(actor, change_id)
    if kind_named(seen.kind).collected:
        if actor.id not in seen.concerned:
            raise Denied(_("Only the person it is for can take it."), permission="changes.collect")
        if actor.user is not None and actor.user.within is not None:
            raise Denied(_("What you came with carries only some of your roles; log in to the console to take it."))
    else:
        actor.require("approvals.decide_request")
    return lock_change(seen.pk)


def change_to_cancel(actor: Actor, change_id: UUID) -> Change:
    """The change, locked, for whoever asked for it or may ask for such; raises ChangeNotFound, Denied, ChangeEnded."""
    seen = change_seen_by(actor, change_id)
    if actor.id != str(seen.requested_by_id):
        actor.require(kind_named(seen.kind).withdrawal)
    return require_open(lock_change(seen.pk))


def require_open(change: Change) -> Change:
    """The change; raises ChangeEnded for one that has ended."""
    if change.status not in OPEN:
        raise ChangeEnded(
            format_lazy(_("The change is {state}."), state=change.state.label),
            change=str(change.pk),
            status=change.status,
        )
    return change


def lock_change(change_id: UUID) -> Change:
    """The change's row, locked; always taken before its approval request and before the record it changes."""
    return Change.objects.select_for_update(no_key=True, of=("self",)).select_related("requested_by").get(pk=change_id)


def _is_about(change: Change, actor: Actor) -> bool:
    return actor.id == str(change.requested_by_id) or actor.id in change.concerned
