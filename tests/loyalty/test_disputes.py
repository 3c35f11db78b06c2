"""Disputes: what became of a purchase, and how the dispute about it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from loyalty.disputes import evidence
from loyalty.disputes.evidence import Answer
from loyalty.errors import ActorMismatch, DisputeOpen, PointsInvalid
from loyalty.fraud.figures import waiting_disputes
from loyalty.models import Balance, Dispute, Transaction
from loyalty.services import disputes, points
from opsconsole.approvals import services as approvals
from opsconsole.approvals.errors import DigestMismatch
from opsconsole.approvals.gate import Asked
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import OutboxEvent
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dispute(member: Callable[..., Balance], marketing: Actor) -> Callable[..., Dispute]:
    """Open a dispute of alice's: `dispute("order-1")`."""

    def open_one(origin: str = "order-1", **facts: Any) -> Dispute:
        alice = Balance.objects.filter(user_id="alice").first() or member("alice", 500)
        wanted = {"ticket": "12345", "happened_at": timezone.now(), **facts}
        return disputes.open_dispute(balance_id=alice.pk, origin_txn_id=origin, **wanted, actor=marketing)

    return open_one


def answer_to(dispute: Dispute) -> Answer:
    return evidence.find(dispute.balance, dispute.origin_txn_id, dispute.happened_at).answer


def test_what_the_ledger_says_of_a_purchase(
    member: Callable[..., Balance], dispute: Callable[..., Dispute], marketing: Actor
) -> None:
    member("alice", 100, origin_txn_id="order-1")
    member("alice", 40, origin_txn_id="order-2")
    back = Transaction.objects.get(origin_txn_id="order-2", event_type="earn")
    points.reverse_transaction(transaction_id=back.pk, reason="returned goods", actor=marketing)
    member("bob", 70, origin_txn_id="order-3")
    member("bob", 5, key="till-7:order_4:retry")
    assert answer_to(dispute("order-1")) is Answer.AWARDED
    assert answer_to(dispute("order-2")) is Answer.TAKEN_BACK
    assert answer_to(dispute("order-3")) is Answer.TO_ANOTHER
    assert answer_to(dispute("order_4")) is Answer.TO_ANOTHER
    assert answer_to(dispute("order-5")) is Answer.NEVER_SEEN
    assert answer_to(dispute("order%")) is Answer.NEVER_SEEN  # not a pattern
    found = evidence.find(Balance.objects.get(user_id="alice"), "order-2", timezone.now())
    assert [(one.event_type, one.amount, one.taken_back, one.found_by) for one in found.movements] == [
        ("reverse", -40, 0, "origin"), ("earn", 40, 40, "origin"),
    ]  # fmt: skip
    assert {entry.entity_type for entry in found.trail} == {"transaction", "balance"}
    assert [entry.action for entry in found.trail if entry.entity_type == "balance"] == ["points.reversed"]
    assert found.program_was_busy
    long_ago = evidence.find(Balance.objects.get(user_id="alice"), "order-5", timezone.now() - timedelta(days=9))
    assert (list(long_ago.trail), long_ago.program_was_busy) == ([], False)


def test_an_id_that_is_a_piece_of_another_is_not_that_one(
    member: Callable[..., Balance], dispute: Callable[..., Dispute], monkeypatch: pytest.MonkeyPatch
) -> None:
    member("alice", 100, key="order-10")
    member("bob", 70, key="till-7:order-12:retry", origin_txn_id="order-12")
    opened = dispute("order-1")
    assert answer_to(opened) is Answer.NEVER_SEEN
    found = evidence.find(opened.balance, "order-1", timezone.now())
    assert [one.idempotency_key for one in found.movements] == [
        "till-7:order-12:retry",
        "order-10",
    ]  # shown, all the same
    # However many there are, they do not hide the one that counts.
    member("alice", 30, origin_txn_id="order-1")
    member("bob", 5, key="order-13")
    monkeypatch.setattr(evidence, "MOST", 1)
    assert answer_to(opened) is Answer.AWARDED
    # Letters that mean something in a pattern mean nothing here.
    member("bob", 5, key="till-7:ord.r+(1):retry")
    assert answer_to(dispute("ord.r+(1)")) is Answer.TO_ANOTHER
    assert answer_to(dispute("rd.r+(1)")) is Answer.NEVER_SEEN


def test_it_ends_in_an_adjustment(dispute: Callable[..., Dispute], marketing: Actor) -> None:
    opened = dispute()
    with pytest.raises(DisputeOpen):
        dispute()
    with pytest.raises(ActorMismatch):
        disputes.adjust_dispute(dispute_id=opened.pk, amount=100, reason="x", actor_role="finance_ops", actor=marketing)
    ended = disputes.adjust_dispute(dispute_id=opened.pk, amount=100, reason="Ticket 12345", actor=marketing)
    assert isinstance(ended, Dispute)
    paid = Transaction.objects.get(event_type="adjust")
    assert (ended.status, ended.transaction_id, paid.amount, paid.reason) == ("adjusted", paid.pk, 100, "Ticket 12345")
    assert json.loads(Entry.objects.get(verb="points.adjusted").body)["after"]["dispute"] == str(opened.pk)
    for again in (
        lambda: disputes.adjust_dispute(dispute_id=opened.pk, amount=100, reason="x", actor=marketing),
        lambda: disputes.refuse_dispute(dispute_id=opened.pk, reason="x", actor=marketing),
    ):
        with pytest.raises(WrongState):
            again()
    assert Balance.objects.get().points_balance == 600
    claimed_again = dispute()
    assert claimed_again.status == "open"  # a new one, once the first has ended
    assert answer_to(claimed_again) is Answer.AWARDED  # and whoever judges it sees that the purchase was made good


def test_a_large_one_takes_two_teams_and_stays_open_until_then(
    dispute: Callable[..., Dispute], marketing: Actor, finance: Actor
) -> None:
    opened, other = dispute(), dispute("order-2")

    def adjust(one: Dispute = opened, amount: int = 20_000, **facts: Any) -> Dispute | Asked:
        return disputes.adjust_dispute(
            dispute_id=one.pk, amount=amount, reason="Ticket 12345", actor=marketing, **facts
        )

    asked = adjust()
    assert isinstance(asked, Asked)
    opened.refresh_from_db()
    assert (opened.status, Transaction.objects.filter(event_type="adjust").count()) == ("open", 0)
    request = asked.request.pk
    approvals.decide_request(request_id=request, approved=True, comments="ok", signature="", actor=finance)
    with pytest.raises(DigestMismatch):
        adjust(other, approval_id=request)  # what was agreed to ends that one dispute
    with pytest.raises(DigestMismatch):
        points.adjust_points(
            balance_id=opened.balance_id, amount=20_000, reason="x", approval_id=request, actor=marketing
        )
    done = adjust(approval_id=request)
    assert isinstance(done, Dispute)
    assert (done.status, Balance.objects.get().points_balance) == ("adjusted", 20_500)


def test_it_ends_in_a_refusal(dispute: Callable[..., Dispute], marketing: Actor) -> None:
    opened = dispute()
    ended = disputes.refuse_dispute(dispute_id=opened.pk, reason="the receipt is a forgery", actor=marketing)
    assert (ended.status, ended.verdict) == ("refused", "the receipt is a forgery")
    entry = Entry.objects.get(verb="dispute.refused")
    assert (entry.subject_kind, entry.subject_id) == ("loyalty_balances", str(opened.balance_id))
    assert json.loads(entry.body)["reason"] == "the receipt is a forgery"


def test_what_cannot_be_a_dispute_is_said_field_by_field(dispute: Callable[..., Dispute]) -> None:
    with pytest.raises(PointsInvalid) as refused:
        dispute(" ", ticket="", happened_at=timezone.now() + timedelta(days=1), claim="x" * 2001)
    assert set(refused.value.fields["errors"]) == {"ticket", "origin_txn_id", "happened_at", "claim"}


def test_one_that_nobody_ends_is_asked_for_once(dispute: Callable[..., Dispute]) -> None:
    opened = dispute()
    assert opened.due_at > timezone.now() + timedelta(days=4)
    assert disputes.remind_of_overdue(actor=SYSTEM("test")) == 0
    Dispute.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    assert [disputes.remind_of_overdue(actor=SYSTEM("test")) for _ in range(2)] == [1, 0]
    assert (waiting_disputes().open, waiting_disputes().overdue) == (1, 1)
    assert OutboxEvent.objects.filter(topic="dispute.overdue").count() == 1


def test_raw_sql_cannot_pretend_an_adjustment(
    dispute: Callable[..., Dispute], connect_as: Callable[[str], Any]
) -> None:
    dispute()
    operator = connect_as("operator")
    ended = "update loyalty_disputes set decided_at = now(), transaction_id = {}, status = '{}'"
    earned = Transaction.objects.get()
    for transaction, status, constraint in (
        ("gen_random_uuid()", "adjusted", "dispute_settled"),
        (f"'{earned.pk}'", "adjusted", "dispute_settled"),
        ("null", "adjusted", "dispute_ends_one_way"),
        ("gen_random_uuid()", "refused", "dispute_ends_one_way"),
    ):
        with pytest.raises(psycopg.errors.CheckViolation) as broken:
            operator.execute(ended.format(transaction, status))
        assert broken.value.diag.constraint_name == constraint


def test_the_doors(member: Callable[..., Balance], api: Callable[..., Any]) -> None:
    alice, client = member("alice", 500), api("ops_marketing")
    body = {
        "balanceId": str(alice.pk), "ticket": "12345", "originTxnId": "order-1", "happenedAt": timezone.now(),
        "claim": "I paid",
    }  # fmt: skip
    opened = client.post("/api/disputes", body, format="json")
    assert (opened.status_code, opened.json()["status"], opened.json()["userId"]) == (201, "open", "alice")
    path = f"/api/disputes/{opened.json()['id']}"
    found = client.get(path).json()
    assert (found["evidence"]["answer"], found["dispute"]["claim"]) == ("never_seen", "I paid")
    assert [entry["action"] for entry in found["evidence"]["trail"]] == ["earn"]
    asked = client.post(f"{path}/adjust", {"amount": 20_000, "reason": "Ticket 12345"}, format="json")
    assert (asked.status_code, asked.json()["requiredRoles"]) == (202, ["ops_marketing", "finance_ops"])
    request = asked.json()["approvalRequestId"]
    assert api("finance_ops").post(f"/api/approvals/{request}/approve", {"approved": True}).status_code == 200
    done = client.post(
        f"{path}/adjust",
        {"amount": 20_000, "reason": "Ticket 12345"},
        format="json",
        HTTP_X_APPROVAL_REQUEST_ID=request,
    )
    assert (done.status_code, done.json()["status"]) == (200, "adjusted")
    assert client.post(f"{path}/refuse", {"reason": "x"}, format="json").status_code == 409
    assert len(client.get("/api/disputes", {"status": "adjusted", "ticket": "12345"}).json()["results"]) == 1


def test_a_denied_actor_changes_nothing(dispute: Callable[..., Dispute], auditor: Actor, finance: Actor) -> None:
    opened, entries = dispute(), Entry.objects.count()
    for actor in (auditor, finance):
        for attempt in (
            lambda actor=actor: disputes.open_dispute(
                balance_id=opened.balance_id, ticket="1", origin_txn_id="x", happened_at=timezone.now(), actor=actor
            ),
            lambda actor=actor: disputes.refuse_dispute(dispute_id=opened.pk, reason="x", actor=actor),
            lambda actor=actor: disputes.adjust_dispute(dispute_id=opened.pk, amount=1, reason="x", actor=actor),
        ):
            with pytest.raises(Denied):
                attempt()
    opened.refresh_from_db()
    assert (opened.status, Entry.objects.count()) == ("open", entries)
