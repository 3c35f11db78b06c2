"""Reads: the approval request of a change, who could still agree, and what is open about a record."""

from __future__ import annotations

from django.db.models import Model, QuerySet

from opsconsole.approvals import quorum
from opsconsole.approvals.models import Request
from opsconsole.approvals.terms import Terms
from opsconsole.changes.models import Change
from opsconsole.changes.states import OPEN
from opsconsole.core.models import User


def request_of(change: Change) -> Request | None:
    """The newest approval request for the change, ended or not."""
    return (
        Request.objects.filter(subject_kind="change", subject_id=str(change.pk))
        .select_related("requested_by")
        .order_by("-created_at")
        .first()
    )


def open_changes_of(row: Model, subject_id: str = "") -> QuerySet[Change]:
    """Changes of this record that have not ended, newest first; by what the kind knows it by, where not by its key."""
    return (
        Change.objects.filter(subject_kind=row._meta.db_table, subject_id=subject_id or str(row.pk), status__in=OPEN)
        .select_related("requested_by")
        .defer("secrets")
        .order_by("-created_at", "-id")
    )


def people_by_role(roles: frozenset[str]) -> dict[str, frozenset[str]]:
    """Everybody in office who holds one of these roles: id -> roles."""
    found: dict[str, set[str]] = {}
    held = User.objects.filter(is_active=True, groups__name__in=roles).values_list("pk", "groups__name")
    for user, role in held:
        found.setdefault(str(user), set()).add(role)
    return {user: frozenset(names) for user, names in found.items()}


def can_be_filled(terms: Terms, *, without: frozenset[str] = frozenset()) -> bool:
    """Whether there are enough people to fill every slot, these left out."""
    return quorum.count(terms.slots, people_by_role(frozenset(terms.roles)), without).complete
