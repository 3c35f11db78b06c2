"""Real threads on real connections: one quorum, one use, whatever the order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from opsconsole.approvals import errors
from opsconsole.approvals.models import Decision, Request
from opsconsole.approvals.states import DecisionKind
from opsconsole.core.actors import Actor
from opsconsole.core.errors import DomainError
from opsconsole.journal.models import Entry
from tests.approvals.conftest import (
    SYSTEM_TEST,
    People,
    approve,
    ask,
    decide,
    followed,
    make_subject,
    revoke,
    use,
    verbs,
)

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Run the calls in threads that start together; each one's result, or the refusal."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        connection.ensure_connection()
        barrier.wait()
        try:
            return call()
        except DomainError as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def request_(person: People) -> Request:
    return ask(actor=person("asker", "finance_ops"), subject_id=make_subject(actor=SYSTEM_TEST))


def fresh(actor: Actor) -> Actor:
    """The actor as another request would load them."""
    assert actor.user is not None
    return Actor.of(type(actor.user).objects.get(pk=actor.user.pk))


def test_ten_approvals_at_once_make_one_quorum(request_: Request, person: People) -> None:
    people = [person(f"f{n}", "finance_ops") for n in range(5)] + [person(f"p{n}", "pay_admin") for n in range(5)]
    results = at_once(*[lambda actor=actor: approve(request_, fresh(actor)) for actor in people])

    request_.refresh_from_db()
    assert request_.status == "approved"
    seated = list(Decision.objects.filter(kind="approve").values_list("user__username", flat=True))
    assert len(seated) == 2
    assert {name[0] for name in seated} == {"f", "p"}
    refused = [result for result in results if isinstance(result, DomainError)]
    assert len(refused) == 8
    assert {type(refusal) for refusal in refused} <= {errors.NoOpenSlot, errors.AlreadyComplete}
    assert verbs(request_) == ["approval.requested", "approval.approved", "approval.approved"]
    assert followed(request_) == ["progressed", "approved"]


def test_one_person_ten_times_at_once_is_one_approval(request_: Request, person: People) -> None:
    actor = person("finance_ops")
    results = at_once(*[lambda: approve(request_, fresh(actor))] * 10)
    assert sum(isinstance(result, errors.AlreadyApproved) for result in results) == 9
    assert Decision.objects.count() == 1
    assert Entry.objects.filter(verb="approval.approved").count() == 1


def test_ten_uses_at_once_are_one(request_: Request, person: People) -> None:
    approve(request_, person("finance_ops"))
    approve(request_, person("pay_admin"))
    actor = person("pay_admin")
    results = at_once(*[lambda: use(request=request_, actor=fresh(actor))] * 10)
    assert sum(isinstance(result, Request) for result in results) == 1
    assert sum(isinstance(result, errors.AlreadyConsumed) for result in results) == 9
    assert verbs(request_).count("approval.consumed") == 1


@pytest.mark.parametrize("turn", range(6))
def test_approve_revoke_and_use_at_once(request_: Request, person: People, turn: int) -> None:
    """Whoever comes first, an approval that was used was complete, and one taken back was not used."""
    finance, admin, other = person("finance_ops"), person("pay_admin"), person("pay_admin2", "pay_admin")
    approve(request_, finance)
    approve(request_, admin)
    calls = [
        lambda: revoke(request_, fresh(finance)),
        lambda: use(request=request_, actor=fresh(admin)),
        lambda: approve(request_, fresh(other)),
    ]
    revoked, used, approved = at_once(*calls)

    request_.refresh_from_db()
    assert isinstance(approved, (errors.AlreadyComplete, errors.AlreadyConsumed, errors.NoOpenSlot))
    if isinstance(used, Request):
        assert request_.status == "consumed"
        assert isinstance(revoked, errors.AlreadyConsumed)
        assert not Decision.objects.filter(kind="revoke").exists()
    else:
        assert isinstance(used, errors.QuorumIncomplete)
        assert request_.status == "pending"
        assert isinstance(revoked, Request)
        assert "approval.consumed" not in verbs(request_)


def test_reject_and_the_last_approval_at_once(request_: Request, person: People) -> None:
    approve(request_, person("finance_ops"))
    admin, other = person("pay_admin"), person("pay_admin2", "pay_admin")
    at_once(
        lambda: approve(request_, fresh(admin)),
        lambda: decide(request=request_, kind=DecisionKind.REJECT, said={"reason": "no"}, actor=fresh(other)),
    )
    request_.refresh_from_db()
    assert request_.status == "rejected"
    assert followed(request_)[-1] == "rejected"


def test_asking_twice_at_once_leaves_one_request(person: People) -> None:
    subject_id, actor = make_subject(actor=SYSTEM_TEST), person("asker", "finance_ops")
    results = at_once(*[lambda: ask(actor=fresh(actor), subject_id=subject_id)] * 4)
    assert len({result.pk for result in results if isinstance(result, Request)}) == 1
    assert Request.objects.filter(subject_id=subject_id).count() == 1
