"""Grants on single objects: the rows that somebody was given a right on, by themselves or as one of their roles."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, Q, QuerySet
from guardian.shortcuts import get_objects_for_group, get_objects_for_user

from opsconsole.core.actors import Actor

Row = TypeVar("Row", bound=Model)


def granted(actor: Actor, permission: str, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Those of the rows on which the actor was granted the permission; a right by role over all of them counts not.

    What was granted to the person stays when a credential narrows them; what was granted to a role needs that role
    to be left.
    """
    user = actor.user
    if user is None or not user.is_active or not user.has_grants:
        return rows.none()
    own = get_objects_for_user(user, permission, rows.model, use_groups=user.within is None, accept_global_perms=False)
    found = Q(pk__in=own.values("pk"))
    if user.within is not None:
        for group in user.groups_left():
            found |= Q(
                pk__in=get_objects_for_group(group, permission, rows.model, accept_global_perms=False).values("pk")
            )
    return rows.filter(found)
