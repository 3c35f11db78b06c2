"""Members as persons: what is known of them handed out, and their identity taken away."""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.errors import ErasureRefused, MemberNotFound
from loyalty.models import Balance, Dispute, FraudHit, VoucherMiss
from loyalty.reasons import said
from loyalty.states import DisputeState, HitState
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.texts import Text
from opsconsole.journal.record import record

ERASED: Final = "(erased)"
PSEUDONYM_BYTES: Final = 16


@operation
def record_member_export(*, user_id: str, reason: str, actor: Actor) -> list[UUID]:
    """Note that what is known of a person is handed out, before it is; the balances that it is made of.

    Raises MemberNotFound, and Denied where the caller may not do this in every program of theirs that they see.
    """
    try:
        members = list(access.visible_members(actor).filter(user_id=user_id).order_by("pk"))
    except Denied:
        members = []
    if not members:
        raise MemberNotFound(_("There is no such member."))
    why = said(reason)
    for member in members:
        actor.require("loyalty.export_member", member.program)
    for member in members:
        record(actor, "member.exported", member, after={"program": member.program.name}, reason=why)
    return [member.pk for member in members]


@operation
def erase_member(*, user_id: str, reason: str, actor: Actor) -> list[UUID]:
    """Take a person's identity out of every program: nobody can tell any more whose the points were.

    The rows stay, under a name that leads nowhere and another in each program, closed to earning, since the books are
    made of them. All or none: raises Denied, MemberNotFound, and ErasureRefused while somebody looks into the member.
    """
    actor.require("loyalty.erase_member")
    why = said(reason)
    rows = Balance.objects.select_for_update(no_key=True, of=("self",)).select_related("program")
    members = list(rows.filter(user_id=user_id, erased_at=None).order_by("pk"))
    if not members:
        raise MemberNotFound(_("There is no such member."))
    for member in members:
        _require_settled(member)
    ids = [member.pk for member in members]
    FraudHit.objects.filter(balance__in=ids).update(facts={})
    Dispute.objects.filter(balance__in=ids).update(ticket=ERASED, claim="")
    VoucherMiss.objects.filter(user_id=user_id).delete()
    for member in members:
        _forget(member)
        # The name itself is not in it: the journal keeps what it is told.
        record(actor, "member.erased", member, after={"program": member.program.name}, reason=why)
        emit("member.erased", kind=Balance._meta.db_table, id=member.pk, data={"program": member.program.name})
    return ids


def _forget(member: Balance) -> None:
    Balance.objects.filter(pk=member.pk).update(
        user_id=f"erased-{secrets.token_hex(PSEUDONYM_BYTES)}", is_frozen=True, erased_at=Now(), updated_at=Now()
    )
    with connection.cursor() as cursor:
        cursor.execute("select loyalty_forget_addresses(%s)", [member.pk])


def _require_settled(member: Balance) -> None:
    """Raise ErasureRefused for a member whom somebody looks into, or has yet to answer."""
    against: Text | None = None
    if member.is_frozen or member.locked:
        against = _("They are frozen or have locked points: unfreeze and unlock them first, or keep them.")
    elif FraudHit.objects.filter(balance=member, status=HitState.OPEN).exists():
        against = _("A fraud hit waits for a verdict.")
    elif Dispute.objects.filter(balance=member, status=DisputeState.OPEN).exists():
        against = _("A dispute is open.")
    if against is not None:
        raise ErasureRefused(against, program=member.program.name)
