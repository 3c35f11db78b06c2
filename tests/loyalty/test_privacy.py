"""Members as persons: all that is known of them in one file; forgotten where nobody looks into them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from loyalty.errors import ErasureRefused, MemberFrozen, MemberNotFound
from loyalty.jobs import vouchers as voucher_jobs
from loyalty.models import Balance, Dispute, FraudHit, FraudRule, Program, Transaction, VoucherMiss
from loyalty.privacy import files
from loyalty.services import disputes, members, points, privacy, programs, rewards, vouchers
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(person: Callable[..., Actor]) -> Actor:
    """Somebody of admin."""
    return person("admin")


@pytest.fixture
def alice(program: Program, member: Callable[..., Balance], marketing: Actor) -> list[Balance]:
    """A person in two programs who has done everything there is to do."""
    other = programs.create_program(name="Other", budget_limit=Decimal(1_000_000), actor=marketing)
    here = member("alice", 500, ip_address="203.0.113.7", origin_txn_id="order-1")
    there = member("alice", 70, program_id=other.pk, ip_address="203.0.113.8")
    reward = rewards.create_reward(program_id=program.pk, name="Café", points=100, actor=marketing)
    rewards.redeem_reward(reward_id=reward.pk, user_id="alice", actor=marketing)
    batch, _new = vouchers.issue_batch(program_id=program.pk, name="Fair", points=25, count=1, actor=marketing)
    voucher_jobs.make_codes(str(batch.pk))
    vouchers.redeem_voucher(code=batch.vouchers.get().code, user_id="alice", actor=marketing)
    vouchers.note_wrong_code(user_id="alice", actor=marketing)
    return [here, there]


def test_everything_in_one_file(alice: list[Balance], api: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK", 1)
    answer = api("auditor").post("/api/members/export", {"userId": "alice", "reason": "Request 4711"}, format="json")
    assert Entry.objects.filter(verb="member.exported").count() == 2  # before the first byte is read
    told = json.loads(b"".join(answer.streaming_content))
    assert told["userId"] == "alice"
    here, there = told["programs"]
    assert (here["program"], here["pointsBalance"], there["program"], there["pointsBalance"]) == (
        "Club",
        425,
        "Other",
        70,
    )
    movements = [(row["eventType"], row["amount"], row["ipAddress"]) for row in here["transactions"]]
    assert movements == [("earn", 500, "203.0.113.7"), ("redeem", -100, None), ("bonus", 25, None)]
    assert [row["reward"] for row in here["redemptions"]] == ["Café"]
    assert [row["batch"] for row in here["vouchers"]] == ["Fair"]
    assert (here["disputes"], there["redemptions"]) == ([], [])
    assert answer["Cache-Control"] == "no-store"


def test_erased_in_every_program(
    alice: list[Balance],
    admin: Actor,
    marketing: Actor,
    member: Callable[..., Balance],
    person: Callable[..., Actor],
) -> None:
    member("bob", 10, ip_address="203.0.113.9")
    opened = disputes.open_dispute(
        balance_id=alice[0].pk, ticket="12345", origin_txn_id="x", happened_at=timezone.now(), claim="Alice Smith says",
        actor=marketing,
    )  # fmt: skip
    disputes.refuse_dispute(dispute_id=opened.pk, reason="it was earned", actor=marketing)
    assert privacy.erase_member(user_id="alice", reason="Request 4711", actor=admin) == [one.pk for one in alice]
    here, there = Balance.objects.filter(erased_at__isnull=False).order_by("pk")
    assert (here.points_balance, there.points_balance, here.is_frozen, there.is_frozen) == (425, 70, True, True)
    assert here.user_id.startswith("erased-")
    assert here.user_id != there.user_id  # not even the two of them belong together any more
    addresses = Transaction.objects.exclude(ip_address=None).values_list("ip_address", flat=True)
    assert list(addresses) == ["203.0.113.9"]
    assert list(Dispute.objects.values_list("ticket", "claim")) == [("(erased)", "")]
    assert not VoucherMiss.objects.exists()
    entries = Entry.objects.filter(verb="member.erased")
    assert entries.count() == 2
    assert not any("alice" in entry.body for entry in entries)
    with pytest.raises(MemberNotFound):
        privacy.erase_member(user_id="alice", reason="again", actor=admin)
    with pytest.raises(MemberFrozen):
        members.unfreeze_members(balance_ids=[here.pk], reason="why is it frozen?", actor=person("risk_manager"))
    again = points.earn_points(program_id=here.program_id, user_id="alice", points=5, actor=marketing)
    assert again.balance_id != here.pk  # whoever comes back is somebody new


@operation
def _hit(*, member: Balance, actor: Actor) -> FraudHit:
    rule = FraudRule.objects.get(code="frequent_earner")
    return FraudHit.objects.create(
        rule=rule, rule_version=1, balance=member, facts={"address": "203.0.113.7"}, due_at=timezone.now()
    )


def test_nobody_is_forgotten_while_somebody_looks_into_them(
    alice: list[Balance], admin: Actor, marketing: Actor, person: Callable[..., Actor]
) -> None:
    risk = person("risk_manager")

    def refused() -> None:
        with pytest.raises(ErasureRefused):
            privacy.erase_member(user_id="alice", reason="Request 4711", actor=admin)
        assert Balance.objects.filter(user_id="alice", erased_at=None).count() == 2
        assert Transaction.objects.exclude(ip_address=None).count() == 2

    members.lock_points(balance_id=alice[1].pk, points=5, reason="fraud alert", actor=risk)
    refused()
    members.unlock_points(balance_id=alice[1].pk, points=None, reason="over", actor=risk)
    members.freeze_members(balance_ids=[alice[0].pk], reason="fraud alert", actor=risk)
    refused()
    members.unfreeze_members(balance_ids=[alice[0].pk], reason="over", actor=risk)
    hit = _hit(member=alice[0], actor=risk)
    refused()
    FraudHit.objects.filter(pk=hit.pk).update(status="dismissed")
    opened = disputes.open_dispute(
        balance_id=alice[1].pk, ticket="1", origin_txn_id="x", happened_at=timezone.now() - timedelta(days=1),
        actor=marketing,
    )  # fmt: skip
    refused()
    disputes.refuse_dispute(dispute_id=opened.pk, reason="no", actor=marketing)
    privacy.erase_member(user_id="alice", reason="Request 4711", actor=admin)
    hit.refresh_from_db()
    assert hit.facts == {}


def test_a_denied_actor_changes_nothing(alice: list[Balance], auditor: Actor, marketing: Actor) -> None:
    entries = Entry.objects.count()
    for attempt in (
        lambda: privacy.erase_member(user_id="alice", reason="x", actor=auditor),
        lambda: privacy.erase_member(user_id="alice", reason="x", actor=marketing),
        lambda: privacy.record_member_export(user_id="alice", reason="x", actor=marketing),
    ):
        with pytest.raises(Denied):
            attempt()
    with pytest.raises(MemberNotFound):
        privacy.record_member_export(user_id="nobody", reason="x", actor=auditor)
    assert Entry.objects.count() == entries
    assert Balance.objects.filter(user_id="alice").count() == 2
