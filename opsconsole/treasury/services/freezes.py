"""Freezing an account, a beneficiary or a merchant, and lifting that again: the steps of plans, each once."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record
from opsconsole.plans.models import Step
from opsconsole.plans.outcomes import Outcome, Refused, Skipped
from opsconsole.treasury import access
from opsconsole.treasury.closing import alterations, closures
from opsconsole.treasury.models import Account, Freeze
from opsconsole.treasury.states import AccountKind, AccountState, FreezeKind


@operation
def freeze(*, step: Step, actor: Actor) -> Outcome:
    """Do a step that freezes its subject, once under its key: from the commit on nothing is marked as going out to it.

    What another plan has frozen is frozen once more: it stays so until both are lifted.
    """
    actor.require(access.SET_UP)
    if (known := alterations.begin(step)) is not None:
        return known
    closures.close_doors()
    kind, subject = FreezeKind(step.payload["subject"]), step.payload["id"]
    standing = Freeze.objects.filter(kind=kind, subject=subject, lifted_at=None)
    account, found_frozen = None, False
    if kind == FreezeKind.ACCOUNT:
        account = Account.objects.select_for_update(no_key=True).filter(pk=subject).first()
        if account is None or account.kind != AccountKind.SETTLEMENT:
            return Refused("no_account", f"There is no settlement account {subject}.")
        found_frozen = account.status == AccountState.FROZEN
        if standing.exists():
            found_frozen = standing.filter(found_frozen=True).exists()
        _turn(account, AccountState.FROZEN, step, actor=actor)
    frozen_before = standing.exists() or found_frozen
    made = Freeze.objects.create(
        kind=kind,
        subject=subject,
        account=account,
        reason=step.payload["reason"],
        found_frozen=found_frozen,
        plan_id=step.plan_id,
        step=step,
        set_by=alterations.asked_by(step),
    )
    made.refresh_from_db()
    after = {"freeze": str(made.pk), **_facts(made)}
    record(actor, "freeze.set", made, after={**after, "plan": step.plan_id, "step": step.key}, reason=made.reason)
    _announce("freeze.set", made)
    return alterations.note(step, made, before={"frozen": frozen_before}, after=after)


@operation
def lift(*, step: Step, actor: Actor) -> Outcome:
    """Undo such a step, once. An account stays frozen while another freeze of it stands, or if it was found frozen."""
    actor.require(access.SET_UP)
    if (known := alterations.begin(step)) is not None:
        return known
    closures.close_doors()
    made = Freeze.objects.select_for_update(no_key=True).filter(step=step.undoes).first() if step.undoes else None
    if made is None or not made.is_live:
        return Skipped("not_frozen", "The freeze of this plan was lifted before.")
    made.lifted_at, made.lifted_by, made.lifted_step = Now(), alterations.asked_by(step), step
    made.save(update_fields=["lifted_at", "lifted_by", "lifted_step"])
    others = Freeze.objects.filter(kind=made.kind, subject=made.subject, lifted_at=None)
    if made.account_id is not None:
        account = Account.objects.select_for_update(no_key=True).get(pk=made.account_id)
        if not others.exists() and not made.found_frozen:
            _turn(account, AccountState.ACTIVE, step, actor=actor)
    still = others.exists() or made.found_frozen
    after = {"freeze": str(made.pk), **_facts(made), "still_frozen": still}
    record(actor, "freeze.lifted", made, after={**after, "plan": step.plan_id, "step": step.key})
    _announce("freeze.lifted", made)
    return alterations.note(step, made, before={"frozen": True}, after=after)


def _turn(account: Account, state: AccountState, step: Step, *, actor: Actor) -> None:
    if account.status == state:
        return
    before = {"status": account.status}
    account.move_to(state).save(update_fields=["status"])
    verb = "account.frozen" if state == AccountState.FROZEN else "account.unfrozen"
    record(actor, verb, account, before=before, after={"status": account.status, "plan": step.plan_id})


def _facts(made: Freeze) -> dict[str, Any]:
    shown = made.account.iban if made.account is not None else made.subject
    return {"subject": made.kind, "id": made.subject, "of": shown}


def _announce(topic: str, made: Freeze) -> None:
    emit(topic, kind="freeze", id=made.pk, data={**_facts(made), "plan": str(made.plan_id), "reason": made.reason})
