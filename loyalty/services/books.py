"""The books: how a reconciliation or a verification ended, and digests of the ledger, all in the journal."""

from __future__ import annotations

from typing import Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from loyalty.books import digests
from loyalty.books.digests import LEDGER, Stretch, Verified
from loyalty.books.outcomes import BROKEN, DRIFTED, RECONCILED, VERIFIED
from loyalty.books.reconcile import Reconciled
from loyalty.errors import LedgerBusy
from loyalty.models import Program
from loyalty.workers import Outcome, Worker, count_execution
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import Subject, record

VERIFY: Final = "loyalty.verify_ledger"


@operation
def record_reconciliation(*, outcome: Reconciled, actor: Actor) -> None:
    """Journal how the books stood; drift is an event as well. The newest entry about all of them is what is watched."""
    actor.require(VERIFY)
    about = LEDGER if outcome.program_id is None else Subject(Program._meta.db_table, str(outcome.program_id))
    record(actor, DRIFTED if outcome.drift else RECONCILED, about, after=outcome.facts())
    if outcome.drift:
        first = outcome.first[0]
        data = {"drift": outcome.drift, "book": first.book, "figure": first.figure, "of": first.name}
        emit(DRIFTED, kind=about.kind, id=about.id, data=data)
    count_execution(Worker.LEDGER_RECONCILER, Outcome.SUCCEEDED)


@operation
def digest_ledger(*, actor: Actor) -> Stretch | None:
    """Journal the digest of the next stretch of the ledger; None where nothing new is old enough.

    Raises LedgerBusy while somebody has been writing the ledger for long: then the stretch cannot be closed.
    """
    actor.require(VERIFY)
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('loyalty.digest', 0))")
    if not digests.is_settled():
        raise LedgerBusy(_("Somebody is writing the ledger; its newest stretch cannot be closed yet."))
    last = digests.last_stretch()
    stretch = digests.closing(last.to if last else digests.START)
    if stretch is not None:
        record(actor, digests.DIGESTED, LEDGER, after=stretch.facts())
    else:
        count_execution(Worker.LEDGER_DIGESTER, Outcome.SUCCEEDED)
    return stretch


@operation
def record_verification(*, outcome: Verified, actor: Actor) -> None:
    """Journal how a verification of the ledger ended; a bad end is an event as well."""
    actor.require(VERIFY)
    record(actor, VERIFIED if outcome.sound else BROKEN, LEDGER, after=outcome.facts())
    if not outcome.sound:
        emit(BROKEN, kind=LEDGER.kind, id=LEDGER.id, data={"first": str(outcome.broken[0])})
    count_execution(Worker.LEDGER_VERIFIER, Outcome.SUCCEEDED)
