"""Vouchers: issued in batches, redeemed once, withdrawn, taken away as a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from loyalty import access, ledger, limits
from loyalty.errors import (
    BatchNameTaken,
    BatchNotReady,
    NothingToDo,
    PointsInvalid,
    TooManyCodes,
    VoucherNotFound,
    VoucherRefused,
    VoucherUsed,
)
from loyalty.models import Balance, Voucher, VoucherBatch, VoucherMiss
from loyalty.reasons import said
from loyalty.selectors import database_clock, new_id
from loyalty.states import EventType, VoucherState
from loyalty.vouchers import codes
from opsconsole.core.actors import Actor
from opsconsole.core.faults import crashpoint
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.core.queue import after_commit
from opsconsole.core.texts import Text
from opsconsole.journal.record import Subject, record

ISSUE: Final = "loyalty.issue_vouchers"
MAKE_CODES: Final = "loyalty.jobs.vouchers.make_codes"
MOST_CODES: Final = 10_000_000
CHUNK: Final = 50_000  # codes in one transaction; under a second
MAX_NAME: Final = 100
LONGEST: Final = timedelta(days=10 * 366)  # from now: what is later is a mistake, whoever types it

# Wrong codes that are looked at before one has to wait: those for one member, and those of a whole caller, who speaks
# for many members.
MISSES_PER_MEMBER: Final = 10
MISSES_PER_CALLER: Final = 1_000
WHILE: Final = timedelta(minutes=15)
KEPT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What a voucher came to."""

    voucher_id: UUID
    transaction_id: UUID
    program_id: UUID
    member: Balance
    points: int


# --- issuing --------------------------------------------------------------------------------------------------------


@operation
def issue_batch(
    *,
    program_id: UUID,
    name: str,
    points: int,
    count: int,
    per_member: int = 1,
    valid_from: datetime | None = None,
    expires_at: datetime | None = None,
    actor: Actor,
) -> tuple[VoucherBatch, bool]:
    """Order so many codes of the same worth; a worker makes them. The same order again is the same batch.

    True with a batch that is new. Raises ProgramNotFound, Denied, PointsInvalid, and BatchNameTaken where another
    batch has the name.
    """
    program = access.program_to_use(actor, program_id, ISSUE)
    now = database_clock()
    facts: dict[str, Any] = {
        "points": ledger.readable(points),
        "count": count,
        "per_member": per_member,
        "expires_at": expires_at,
    }
    _require_sound(name, facts, valid_from, now)
    if (standing := VoucherBatch.objects.filter(program=program, name=name.strip()).first()) is not None:
        return _same(standing, facts, valid_from), False
    try:
        with transaction.atomic():
            batch = VoucherBatch.objects.create(
                program=program, name=name.strip(), valid_from=valid_from or now, made_by=actor.user, **facts
            )
    except IntegrityError as error:
        raise _name_taken(name) from error
    batch.refresh_from_db()
    record(actor, "vouchers.ordered", batch, after={"name": batch.name, "valid_from": batch.valid_from, **facts})
    after_commit(MAKE_CODES, batch.pk)
    return batch, True


@operation
def make_codes(*, batch_id: UUID, actor: Actor) -> VoucherBatch:
    """Make the next chunk of a batch's codes, if any are missing; safe at any time, by any number of workers.

    The batch's row says how many there are and is locked meanwhile, so a crash loses a chunk with its count.
    """
    batch = access.batch_for(actor, batch_id, ISSUE)
    missing = min(CHUNK, batch.count - batch.made)
    if missing <= 0 or batch.withdrawn_at is not None:
        return batch
    codes.insert(batch.pk, missing)
    crashpoint("loyalty.vouchers.in_chunk")
    was, batch.made = batch.made, batch.made + missing
    batch.save(update_fields=["made"])
    record(actor, "vouchers.made", batch, before={"made": was}, after={"made": batch.made})
    if batch.is_made:
        emit("vouchers.issued", **_about(batch), data={**_told(batch), "count": batch.count})
    return batch


@operation
def withdraw_batch(*, batch_id: UUID, reason: str, actor: Actor) -> VoucherBatch:
    """Make none of a batch's codes count any more, and no more of them; raises BatchNotFound, Denied, NothingToDo."""
    batch = access.batch_for(actor, batch_id, ISSUE)
    why = said(reason)
    if batch.withdrawn_at is not None:
        raise NothingToDo(_("Everything is as it is asked for already."))
    batch.withdrawn_at = database_clock()
    batch.save(update_fields=["withdrawn_at"])
    record(actor, "vouchers.withdrawn", batch, after={"withdrawn_at": batch.withdrawn_at}, reason=why)
    emit("vouchers.withdrawn", **_about(batch), data={**_told(batch), "reason": why})
    return batch


@operation
def withdraw_voucher(*, voucher_id: UUID, reason: str, actor: Actor) -> Voucher:
    """Make one code count no more; raises VoucherNotFound, Denied, and WrongState for one that is redeemed."""
    return _withdraw(voucher_id, reason, actor)


@operation
def withdraw_code(*, code: str, reason: str, actor: Actor) -> Voucher:
    """The same for whoever has the code itself, such as one that got out."""
    programs = access.programs_to_use(actor, ISSUE).values("pk")
    found = Voucher.objects.filter(code=codes.normal(code), batch__program__in=programs).first()
    if found is None:
        raise VoucherNotFound(_("There is no such voucher."))
    return _withdraw(found.pk, reason, actor)


@operation
def record_export(*, batch_id: UUID, reason: str, actor: Actor) -> VoucherBatch:
    """Note that somebody takes a batch's codes away, before the first of them leaves.

    Raises BatchNotFound, Denied, BatchNotReady while codes are missing.
    """
    batch = access.batch_for(actor, batch_id, "loyalty.export_vouchers")
    why = said(reason)
    if not batch.is_made and batch.withdrawn_at is None:
        raise BatchNotReady(
            format_lazy(_("{made} of {count} codes are made; wait for the rest."), made=batch.made, count=batch.count)
        )
    record(actor, "vouchers.exported", batch, after={"codes": batch.made}, reason=why)
    emit("vouchers.exported", **_about(batch), data={**_told(batch), "codes": batch.made, "reason": why})
    return batch


# --- redeeming ------------------------------------------------------------------------------------------------------


@operation
def redeem_voucher(
    *, code: str, user_id: str, program_id: UUID | None = None, ip_address: str | None = None, actor: Actor
) -> Redeemed:
    """Give a member the points of a voucher, once, whoever else has the same code at the same time.

    A member who is new is enrolled. Raises Denied, TooManyCodes; VoucherRefused for every code that the caller cannot
    redeem, whatever is wrong with it; VoucherUsed where it was this member's; VoucherLimit, and what the ledger
    refuses.
    """
    programs = access.programs_to_use(actor, "loyalty.earn_points")
    _require_patience(user_id, actor)
    if program_id is not None:
        programs = programs.filter(pk=program_id)
    voucher = (
        Voucher.objects.select_related("batch__program")
        .filter(code=codes.normal(code), batch__program__in=programs.values("pk"))
        .first()
    )
    if voucher is None:
        raise VoucherRefused(limits.NOT_REDEEMABLE)
    batch = voucher.batch
    member, credit = _enrolled(batch.program_id, user_id), new_id()
    with limits.told():
        # The update waits for a rival's, and then finds the voucher issued no more.
        mine = Voucher.objects.filter(pk=voucher.pk, status=VoucherState.ISSUED).update(
            status=VoucherState.REDEEMED.value, balance=member, transaction_id=credit, redeemed_at=Now()
        )
    if not mine:
        raise _already(voucher, member)
    told = {**_told(batch), "member": user_id, "points": batch.points}
    emit("voucher.redeemed", **_about(batch), data={**told, "transaction": str(credit)})
    ledger.insert_one(
        member.pk,
        id=credit,
        event_type=EventType.BONUS.value,
        amount=batch.points,
        origin_txn_id=str(voucher.pk),
        ip_address=ip_address,
    )
    member.refresh_from_db(fields=["points_balance", "locked"])
    return Redeemed(voucher.pk, credit, batch.program_id, member, batch.points)


@operation
def note_wrong_code(*, user_id: str, actor: Actor) -> None:
    """Count a code that was refused; the door calls it when the redemption has been undone.

    The last one that is allowed is journalled, once, and told to whoever listens.
    """
    with connection.cursor() as cursor:
        # One after the other: of many at once each would count the others out, and none would be the last one.
        cursor.execute(
            "select pg_advisory_xact_lock(hashtextextended('loyalty.misses' || chr(31) || %s, 0))", [actor.id]
        )
    VoucherMiss.objects.create(caller=actor.id, user_id=user_id)
    of_member, of_caller = _misses(user_id, actor)
    if of_member == MISSES_PER_MEMBER or of_caller == MISSES_PER_CALLER:
        facts = {"caller": actor.name, "member": user_id, "misses": of_caller, "of_member": of_member}
        record(actor, "voucher.guessed", Subject(VoucherMiss._meta.db_table, actor.id), after=facts)
        emit("voucher.guessed", kind=VoucherMiss._meta.db_table, id=actor.id, data=facts)


@operation
def drop_old_misses(*, actor: Actor) -> None:
    """Forget wrong codes that count no more."""
    VoucherMiss.objects.filter(at__lt=database_clock() - KEPT).delete()


# --- in common ------------------------------------------------------------------------------------------------------


def _withdraw(voucher_id: UUID, reason: str, actor: Actor) -> Voucher:
    voucher = access.voucher_for(actor, voucher_id, ISSUE)
    why = said(reason)
    voucher.move_to(VoucherState.VOID)
    voucher.save(update_fields=["status"])
    # Its ending and no more of it, here as everywhere.
    record(actor, "voucher.withdrawn", voucher, after={"batch": voucher.batch.name, "code": voucher.ending}, reason=why)
    return voucher


def _require_sound(name: str, facts: dict[str, Any], valid_from: datetime | None, now: datetime) -> None:
    wrong: dict[str, list[Text]] = {}
    if not 0 < len(name.strip()) <= MAX_NAME:
        wrong["name"] = [format_lazy(_("takes 1 to {most} characters"), most=MAX_NAME)]
    if facts["points"] <= 0:
        wrong["points"] = [_("must be more than 0")]
    if not 0 < facts["count"] <= MOST_CODES:
        wrong["count"] = [format_lazy(_("must be 1 to {most}"), most=MOST_CODES)]
    if not 0 < facts["per_member"] <= facts["count"]:
        wrong["per_member"] = [_("must be at least 1, and no more than there are codes")]
    ends, begins = facts["expires_at"], valid_from or now
    if begins > now + LONGEST:
        wrong["valid_from"] = [_("is too far away")]
    if ends is not None and not max(begins, now) < ends <= now + LONGEST:
        wrong["expires_at"] = [_("must lie in the future, after the beginning, and not too far away")]
    if wrong:
        raise PointsInvalid(_("These vouchers cannot be issued."), errors=wrong)


def _same(standing: VoucherBatch, facts: dict[str, Any], valid_from: datetime | None) -> VoucherBatch:
    asked = {**facts, "valid_from": valid_from or standing.valid_from}
    if any(getattr(standing, name) != value for name, value in asked.items()):
        raise _name_taken(standing.name)
    return standing


def _name_taken(name: str) -> BatchNameTaken:
    return BatchNameTaken(
        format_lazy(_("There is another batch of vouchers {name} in this program already."), name=name.strip()),
        errors={"name": [_("is taken")]},
    )


def _enrolled(program_id: UUID, user_id: str) -> Balance:
    """The member, locked; enrolled if they are new, as by an earn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into loyalty_balances (program_id, user_id) values (%s, %s) on conflict (program_id, user_id)"
            " do nothing",
            [program_id, user_id],
        )
    return Balance.objects.select_for_update(no_key=True).get(program=program_id, user_id=user_id)


def _already(voucher: Voucher, member: Balance) -> VoucherUsed | VoucherRefused:
    """Why somebody was faster: the member themselves are told, nobody else."""
    voucher.refresh_from_db(fields=["status", "balance", "transaction_id"])
    if voucher.balance_id == member.pk:
        return VoucherUsed(_("This member has redeemed this voucher already."), transaction=str(voucher.transaction_id))
    return VoucherRefused(limits.NOT_REDEEMABLE)


def _require_patience(user_id: str, actor: Actor) -> None:
    of_member, of_caller = _misses(user_id, actor)
    if of_member < MISSES_PER_MEMBER and of_caller < MISSES_PER_CALLER:
        return
    minutes = int(WHILE.total_seconds() / 60)
    raise TooManyCodes(
        format_lazy(
            ngettext_lazy(
                "Too many wrong codes. Try again in {minutes} minute.",
                "Too many wrong codes. Try again in {minutes} minutes.",
                minutes,
            ),
            minutes=minutes,
        ),
        retry_after=int(WHILE.total_seconds()),
    )


def _misses(user_id: str, actor: Actor) -> tuple[int, int]:
    """Wrong codes of late: those for this member, and all of the caller's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) filter (where user_id = %s), count(*) from loyalty_voucher_misses"
            " where caller = %s and at > now() - make_interval(secs => %s)",
            [user_id, actor.id, WHILE.total_seconds()],
        )
        of_member, of_caller = cursor.fetchone()
    return of_member, of_caller


def _about(batch: VoucherBatch) -> dict[str, Any]:
    return {"kind": VoucherBatch._meta.db_table, "id": batch.pk}


def _told(batch: VoucherBatch) -> dict[str, Any]:
    return {"program": batch.program.name, "batch": batch.name}
