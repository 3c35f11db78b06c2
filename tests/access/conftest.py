"""A world in which every door has something behind it: plans in every state, payouts, keys, sealed entries."""

from __future__ import annotations

import base64
import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction
from django.utils import timezone

from opsconsole.approvals.models import Review
from opsconsole.changes.services.decisions import approve_change
from opsconsole.changes.services.requests import request_change
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.roles import ROLES
from opsconsole.core.tokens import create_token
from opsconsole.journal.models import Entry
from opsconsole.journal.services import seal
from opsconsole.monitoring.services import incidents
from opsconsole.monitoring.states import Severity
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run, Step
from opsconsole.plans.selectors import approval_of
from opsconsole.plans.services import break_glass, control, decisions, drafts, execution, freezing, staging
from opsconsole.plans.services.drafts import Draft
from opsconsole.plans.services.freezing import CalendarDraft
from opsconsole.treasury.models import Break, Payout
from opsconsole.treasury.services import payouts
from opsconsole.treasury.services.bank_files import import_bank_file
from opsconsole.treasury.states import PayoutState
from tests.backups.world import verified_backup
from tests.conftest import _make_user
from tests.loyalty import doors as loyalty
from tests.notifications.world import furnish
from tests.sandbox_bank.process import BankProcess, bank, shared_bank
from tests.signing import give_key
from tests.treasury.bank_files.conftest import entry, statement
from tests.world import TESTER, add_payouts, build, set_probing

__all__ = ["bank", "shared_bank"]

ANONYMOUS, EXPIRED = "anonymous", "expired"


@dataclass(frozen=True, slots=True)
class Doors:
    """What stands in the addresses and bodies, and a token for everybody who knocks."""

    ids: dict[str, dict[str, Any]]  # by address, where it needs a row in a certain state
    defaults: dict[str, Any]
    tokens: dict[str, str]
    public_key: str


def savepoint() -> Any:
    """A block that operations take for no transaction at all, to be rolled back as if nothing had been."""
    block = transaction.atomic()
    block._from_testcase = True
    return block


class Maker:
    """Takes plans as far as a door wants them."""

    def __init__(self, people: dict[str, Actor], bank: BankProcess) -> None:
        self.people, self.bank, self.number = people, bank, 0

    def frozen(self, who: str) -> Plan:
        """A staged plan of a type that one person may execute in an emergency."""
        self.number += 1
        draft = Draft(
            external_id=f"plan-{self.number}",
            name="Freeze",
            plan_type="freeze",
            payload={"subject": "merchant", "id": who, "reason": "taken over"},
        )
        plan = drafts.create_plan(draft=draft, actor=self.people["ops"])[0]
        return staging.stage_plan(plan_id=plan.pk, actor=self.people["ops"])

    def draft(self, **changes: Any) -> Plan:
        self.number += 1
        prefix = f"P{self.number:02}"
        due = date(2025, 1, 1) + timedelta(days=self.number)
        add_payouts(count=2, amount=Decimal(100), actor=TESTER, prefix=prefix, due=due)
        draft = Draft(
            external_id=f"plan-{self.number}",
            name="Payouts",
            plan_type="payout_batch",
            payload={"currency": "EUR", "cutoff_date": "2025-12-31"},
            **changes,
        )
        return drafts.create_plan(draft=draft, actor=self.people["ops"])[0]

    def staged(self, **changes: Any) -> Plan:
        plan = self.draft(**changes)
        return staging.stage_plan(plan_id=plan.pk, actor=self.people["ops"])

    def approve(self, plan: Plan, *names: str) -> Plan:
        for name in names:
            plan = decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=self.people[name])
        return plan

    def approved(self, **changes: Any) -> Plan:
        return self.approve(self.staged(**changes), "finance_ops", "pay_admin")

    def queued(self, **changes: Any) -> Run:
        plan = self.approved(**changes)
        run = execution.execute_plan(plan_id=plan.pk, actor=self.people["finance_ops"])
        assert isinstance(run, Run)
        return run

    def ended(self, fault: str = "", **changes: Any) -> Run:
        run = self.queued(**changes)
        if fault:
            self.bank.arm(fault, times=None)
        jobs.execute_run(str(run.pk))
        self.bank.clear_faults()
        run.refresh_from_db()
        return run


@pytest.fixture(scope="module")
def doors(django_db_setup: None, django_db_blocker: Any, shared_bank: BankProcess) -> Iterator[Doors]:
    """Built once, in a transaction that is never committed."""
    shared_bank.reset()
    shared_bank.open_account()
    with django_db_blocker.unblock(), savepoint():
        yield _furnish(shared_bank)
        transaction.set_rollback(True)
    with django_db_blocker.unblock():
        connection.close()


def _furnish(bank: BankProcess) -> Doors:
    users = {role: _make_user(name=role, roles=[role], actor=SYSTEM("test")) for role in ROLES}
    people = {role: Actor.of(User.objects.get(pk=user.pk)) for role, user in users.items()}
    world = build(base_url=bank.base_url, secret=bank.secret, balance=Decimal(1_000_000), actor=TESTER)
    make = Maker(people, bank)
    succeeded, failed, lost = make.ended(), make.ended("reject_account"), make.ended("reject_account")
    set_probing(bank=world.http.pk, probing=False, actor=TESTER)
    in_doubt = make.ended("drop_after_accept")
    set_probing(bank=world.http.pk, probing=True, actor=TESTER)
    assert (succeeded.status, failed.status, in_doubt.waiting_for) == ("succeeded", "failed", "person")
    queued, pausing = make.queued(), make.queued()
    control.pause_run(plan_id=pausing.plan_id, run_id=pausing.pk, reason="", actor=people["ops"])
    draft_to_stage, approved = make.draft(), make.approved()
    half = make.approve(make.staged(), "finance_ops")
    staged = make.staged()
    draft = make.draft()
    add_payouts(count=2, amount=Decimal(5), actor=TESTER, prefix="FREE", due=date(2026, 1, 1))
    payable, held = Payout.objects.filter(external_id__startswith="FREE")
    payouts.hold_payout(payout_id=held.pk, reason="to be checked", actor=people["pay_admin"])
    key = give_key(name="laptop", public_key=_public_key(), actor=people["finance_ops"])
    told = furnish(admin=people["admin"], person=people["finance_ops"])
    incident = incidents.open_incident(
        title="Slow answers", severity=Severity.WARNING, description="", actor=people["ops"]
    )
    asked = request_change(
        kind="gateway", subject="sandbox", payload={"priority": 3}, reason="cheaper", actor=people["pay_admin"]
    )
    second = Actor.of(_make_user(name="pay_admin2", roles=["pay_admin"], actor=SYSTEM("test")))
    token = request_change(kind="token", subject="finance_ops", payload={"days": 90}, reason="reports", actor=second)
    for name in ("admin", "pay_admin"):
        approve_change(change_id=token.pk, digest=None, signature="", comment="", actor=people[name])
    content = statement(entry("NOTPROVIDED", "7.00"))
    file, _ = import_bank_file(stream=io.BytesIO(content), name="statement.xml", actor=people["finance_ops"])
    calendar = freezing.create_calendar(
        draft=CalendarDraft(name="Weekend", reason="x", plan_types=["sweep"], ends_at=timezone.now() + timedelta(1)),
        actor=people["pay_admin"],
    )
    glass, broken = make.frozen("M-1"), make.frozen("M-2")
    break_glass.break_glass(plan_id=broken.pk, incident="INC-1", reason="taken over", actor=people["ops"])
    seal(actor=SYSTEM("sealer"))
    request = approval_of(staged)
    of_loyalty, states_of_loyalty = loyalty.furnish(people)
    plans = "api/ops/plans/<plan_id>"
    return Doors(
        defaults={
            "incident_id": incident.pk,
            "backup_id": verified_backup(people["ops"]).pk,
            "item": "metrics_checked",
            "channel_id": told.channel.pk,
            "subscription_id": told.own.pk,
            "delivery_id": told.dead.pk,
            "entry_id": Entry.objects.order_by("seq").values_list("pk", flat=True)[0],
            "request_id": request,
            "change_id": asked.pk,
            "user_id": users["dev"].pk,
            "key_id": key.pk,
            "payout_id": payable.pk,
            "file_id": file.pk,
            "break_id": Break.objects.get(file=file).pk,
            "account_id": world.account.pk,
            "route_id": world.route.pk,
            "plan_id": staged.pk,
            "run_id": succeeded.pk,
            "calendar_id": calendar.pk,
            "review_id": Review.objects.get().pk,
            "runbook_id": "loyalty-budget-exhaustion",
            "name": "budgets-nearly-spent",
            **of_loyalty,
        },
        ids={
            **states_of_loyalty,
            "api/approvals/<request_id>/revoke": {"request_id": approval_of(half)},
            "api/changes/<change_id>/apply": {"change_id": token.pk},
            "api/ops/payouts/<payout_id>/release": {"payout_id": held.pk},
            "api/ops/payouts/<payout_id>/retry": {
                "payout_id": Payout.objects.filter(plan_id=lost.plan_id, status=PayoutState.FAILED).first().pk
            },
            plans: {"plan_id": draft.pk},
            f"{plans}/stage": {"plan_id": draft_to_stage.pk},
            f"{plans}/revoke": {"plan_id": half.pk},
            f"{plans}/execute": {"plan_id": approved.pk},
            f"{plans}/rollback": {"plan_id": succeeded.plan_id},
            f"{plans}/break-glass": {"plan_id": glass.pk},
            f"{plans}/runs/<run_id>/force-fail": {"plan_id": queued.plan_id, "run_id": queued.pk},
            f"{plans}/steps/<step_id>/resolve": {
                "plan_id": in_doubt.plan_id,
                "step_id": Step.objects.get(plan_id=in_doubt.plan_id, status="unknown", seq=1).pk,
            },
            f"{plans}/runs": {"plan_id": succeeded.plan_id},
            f"{plans}/runs/<run_id>": {"plan_id": succeeded.plan_id},
            f"{plans}/runs/<run_id>/steps": {"plan_id": succeeded.plan_id},
            f"{plans}/runs/<run_id>/pause": {"plan_id": queued.plan_id, "run_id": queued.pk},
            f"{plans}/runs/<run_id>/resume": {"plan_id": pausing.plan_id, "run_id": pausing.pk},
            f"{plans}/runs/<run_id>/retry": {"plan_id": failed.plan_id, "run_id": failed.pk},
            f"{plans}/runs/<run_id>/cancel": {"plan_id": queued.plan_id, "run_id": queued.pk},
        },
        tokens={role: create_token(user) for role, user in users.items()}
        | {ANONYMOUS: "", EXPIRED: create_token(users["pay_admin"], expiry=timedelta(seconds=-1))},
        public_key=_public_key(),
    )


def _public_key() -> str:
    raw = Ed25519PrivateKey.from_private_bytes(secrets.token_bytes(32)).public_key().public_bytes_raw()
    return base64.b64encode(raw).decode()
