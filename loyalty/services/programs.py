"""Programs: set up, given another budget or rate, suspended and resumed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty import access
from loyalty.errors import BudgetExhausted, NothingToDo, ProgramNameTaken
from loyalty.models import Program
from loyalty.reasons import said
from loyalty.states import ProgramState
from opsconsole.approvals import gate
from opsconsole.approvals.gate import Asked, Deed
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.outbox import emit
from opsconsole.journal.record import record


@operation
def create_program(
    *,
    name: str,
    budget_limit: Decimal,
    earn_rate: Decimal = Decimal(1),
    points_valid_months: int | None = None,
    description: str = "",
    actor: Actor,
) -> Program:
    """Set up a program with its budget of points; raises Denied, ProgramNameTaken."""
    actor.require("loyalty.create_program")
    facts: dict[str, Any] = {
        "name": name.strip(),
        "description": description.strip(),
        "budget_limit": budget_limit,
        "earn_rate": earn_rate,
        "points_valid_months": points_valid_months,
    }
    try:
        with transaction.atomic():
            program = Program.objects.create(**facts)
    except IntegrityError as error:
        if Program.objects.filter(name=facts["name"]).exists():
            raise ProgramNameTaken(
                format_lazy(_("There is a program {name} already."), name=name), errors={"name": [_("is taken")]}
            ) from error
        raise
    program.refresh_from_db()
    record(actor, "program.created", program, after=facts)
    return program


@operation
def change_budget(
    *, program_id: UUID, budget_limit: Decimal, reason: str, approval_id: UUID | None = None, actor: Actor
) -> Program | Asked:
    """Give a program another budget. An increase takes marketing and finance; a decrease goes through at once.

    Raises ProgramNotFound, Denied, NothingToDo, BudgetExhausted for less than is spent and reserved, and what `gate`
    refuses.
    """
    program = access.program_for(actor, program_id, "loyalty.change_program")
    why, before = said(reason), program.budget_limit
    if budget_limit == before:
        raise NothingToDo(_("Everything is as it is asked for already."))
    if budget_limit < program.budget_spent + program.budget_reserved:
        raise BudgetExhausted(_("More than that is spent or reserved already."))
    trace: dict[str, Any] = {}
    if budget_limit > before:
        deed = Deed(
            action="loyalty.budget",
            row=program,
            title=f"Raise the budget of {program.name} to {budget_limit:,f} points",
            facts={"program": program.name, "budget_limit": {"from": before, "to": budget_limit}},
            reason=why,
        )
        answer = gate.pass_or_ask(deed, approval_id=approval_id, actor=actor)
        if isinstance(answer, Asked):
            return answer
        trace = {"approval": answer.pk}
    return _write(program, {"budget_limit": budget_limit}, "program.budget_changed", why, actor, trace)


@operation
def change_earn_rate(
    *, program_id: UUID, earn_rate: Decimal, reason: str, approval_id: UUID | None = None, actor: Actor
) -> Program | Asked:
    """Give a program another rate of points per unit spent; a cut takes marketing and finance, as a raise does.

    Raises ProgramNotFound, Denied, NothingToDo, and what `gate` refuses.
    """
    program = access.program_for(actor, program_id, "loyalty.change_program")
    why, before = said(reason), program.earn_rate
    if earn_rate == before:
        raise NothingToDo(_("Everything is as it is asked for already."))
    deed = Deed(
        action="loyalty.earn_rate",
        row=program,
        title=f"Earn rate of {program.name}: {before.normalize():f} to {earn_rate.normalize():f}",
        facts={"program": program.name, "earn_rate": {"from": before, "to": earn_rate}},
        reason=why,
    )
    answer = gate.pass_or_ask(deed, approval_id=approval_id, actor=actor)
    if isinstance(answer, Asked):
        return answer
    return _write(program, {"earn_rate": earn_rate}, "program.rate_changed", why, actor, {"approval": answer.pk})


@operation
def suspend_program(*, program_id: UUID, reason: str, approval_id: UUID | None = None, actor: Actor) -> Program | Asked:
    """Stop a program: from the commit on nothing is earned or redeemed in it (runbook 2)."""
    return _turn(program_id, ProgramState.SUSPENDED, "loyalty.suspend", reason, approval_id, actor)


@operation
def resume_program(*, program_id: UUID, reason: str, approval_id: UUID | None = None, actor: Actor) -> Program | Asked:
    """Let a suspended program go on."""
    return _turn(program_id, ProgramState.ACTIVE, "loyalty.resume", reason, approval_id, actor)


def _turn(
    program_id: UUID, state: ProgramState, action: str, reason: str, approval_id: UUID | None, actor: Actor
) -> Program | Asked:
    program = access.program_for(actor, program_id, "loyalty.suspend_program")
    why, before = said(reason), program.status
    if before == state:
        raise NothingToDo(_("Everything is as it is asked for already."))
    verb = "Suspend" if state is ProgramState.SUSPENDED else "Resume"
    deed = Deed(
        action=action,
        row=program,
        title=f"{verb} the program {program.name}",
        facts={"program": program.name, "status": {"from": before, "to": state.value}},
        reason=why,
    )
    answer = gate.pass_or_ask(deed, approval_id=approval_id, actor=actor)
    if isinstance(answer, Asked):
        return answer
    program.move_to(state)
    done = "program.suspended" if state is ProgramState.SUSPENDED else "program.resumed"
    return _write(
        program, {"status": state.value}, done, why, actor, {"approval": answer.pk}, before={"status": before}
    )


def _write(
    program: Program,
    new: dict[str, Any],
    verb: str,
    reason: str,
    actor: Actor,
    trace: dict[str, Any],
    before: dict[str, Any] | None = None,
) -> Program:
    was = before or {name: getattr(program, name) for name in new}
    Program.objects.filter(pk=program.pk).update(**new, updated_at=Now())
    record(actor, verb, program, before=was, after={**new, **trace}, reason=reason)
    emit(verb, kind=Program._meta.db_table, id=program.pk, data={"program": program.name, "reason": reason})
    program.refresh_from_db()
    return program
