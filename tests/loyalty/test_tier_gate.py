"""A tier's multiplier does what the earn rate does: asked for, agreed to by two teams, done once, bound to the tier."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from loyalty.errors import TierInvalid
from loyalty.models import Balance, Program, Tier
from loyalty.services import points, tiers
from loyalty.services.tiers import TierFacts
from opsconsole.approvals.errors import DigestMismatch
from opsconsole.approvals.gate import Asked, AskedByAnother
from opsconsole.approvals.models import Request
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied, DomainError, Invalid
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)

GOLD = TierFacts("Gold", 2, 1000, multiplier=Decimal("1.5"))


@pytest.fixture
def plain(program: Program, marketing: Actor) -> Tier:
    """A tier that multiplies by one, which nobody needs to agree to."""
    made = tiers.define_tier(program_id=program.pk, facts=TierFacts("Silver", 1, 100), actor=marketing)
    assert isinstance(made, Tier)
    return made


def agree(asked: Tier | Asked, by: Actor) -> UUID:
    assert isinstance(asked, Asked)
    assert sorted(asked.roles) == ["finance_ops", "ops_marketing"]
    decide_request(request_id=asked.request.pk, approved=True, comments="", signature="", actor=by)
    return asked.request.pk


def test_a_tier_that_multiplies_is_defined_by_two_teams_and_once(
    program: Program, marketing: Actor, finance: Actor, member: Callable[..., Balance]
) -> None:
    order: dict[str, Any] = {"program_id": program.pk, "facts": GOLD, "reason": "loyal ones", "actor": marketing}
    asked = tiers.define_tier(**order)
    assert not Tier.objects.exists()
    assert not Entry.objects.filter(verb="tier.defined").exists()
    request = agree(asked, finance)
    made = tiers.define_tier(**order, approval_id=request)
    assert isinstance(made, Tier)
    entry = Entry.objects.get(verb="tier.defined").content
    assert (entry["after"]["approval"], entry["after"]["multiplier"], entry["reason"]) == (
        str(request), "1.5", "loyal ones",
    )  # fmt: skip
    # The approval is spent: another such tier needs another.
    again = {**order, "facts": TierFacts("Other", 3, 2000, multiplier=Decimal("1.5"))}
    with pytest.raises(DomainError):
        tiers.define_tier(**again, approval_id=request)
    with pytest.raises(TierInvalid):
        tiers.define_tier(**order, approval_id=request)
    assert Tier.objects.count() == 1
    alice = member("alice", 5)
    Balance.objects.filter(pk=alice.pk).update(tier=made)
    earned = points.earn_points(program_id=program.pk, user_id="alice", spent=Decimal(100), actor=marketing)
    assert earned.points == 150


def test_another_multiplier_is_bound_to_the_whole_tier(
    program: Program, plain: Tier, marketing: Actor, finance: Actor, person: Callable[..., Actor]
) -> None:
    order: dict[str, Any] = {"tier_id": plain.pk, "changes": {"multiplier": Decimal(2)}, "reason": "more"}
    request = agree(tiers.change_tier(**order, actor=marketing), finance)
    with pytest.raises(AskedByAnother):
        tiers.change_tier(**order, actor=finance)
    with pytest.raises(DigestMismatch):  # not what was agreed to
        tiers.change_tier(**{**order, "changes": {"multiplier": Decimal(3)}}, approval_id=request, actor=marketing)
    # Lower what it takes to reach it, which is free while it multiplies by one: the approval was for another tier.
    tiers.change_tier(tier_id=plain.pk, changes={"threshold": 1}, reason="everybody", actor=marketing)
    with pytest.raises(DigestMismatch):
        tiers.change_tier(**order, approval_id=request, actor=marketing)
    tiers.change_tier(tier_id=plain.pk, changes={"threshold": 100}, reason="as it was", actor=marketing)
    done = tiers.change_tier(**order, approval_id=request, actor=marketing)
    assert isinstance(done, Tier)
    assert done.multiplier == 2
    entry = Entry.objects.filter(verb="tier.changed").latest("seq").content
    assert entry["before"] == {"tier": str(plain.pk), "multiplier": "1.000"}
    assert entry["after"] == {"multiplier": "2", "approval": str(request)}
    back = {**order, "changes": {"multiplier": Decimal(1)}}
    with pytest.raises(DomainError):
        tiers.change_tier(**back, approval_id=request, actor=marketing)
    plain.refresh_from_db()
    assert plain.multiplier == 2


def test_who_reaches_a_tier_that_multiplies_takes_approval_too_and_its_name_none(
    program: Program, plain: Tier, marketing: Actor, finance: Actor
) -> None:
    double: dict[str, Any] = {"tier_id": plain.pk, "changes": {"multiplier": Decimal(2)}, "reason": "more"}
    request = agree(tiers.change_tier(**double, actor=marketing), finance)
    tiers.change_tier(**double, approval_id=request, actor=marketing)
    lower = tiers.change_tier(tier_id=plain.pk, changes={"threshold": 1}, reason="everybody", actor=marketing)
    assert isinstance(lower, Asked)
    named = tiers.change_tier(tier_id=plain.pk, changes={"name": "Argent"}, reason="nicer", actor=marketing)
    assert isinstance(named, Tier)
    assert (named.name, named.threshold) == ("Argent", 100)
    with pytest.raises(DigestMismatch):  # the tier that was asked about has another name by now
        tiers.change_tier(
            tier_id=plain.pk, changes={"threshold": 1}, reason="x", approval_id=lower.request.pk, actor=marketing
        )


def test_who_may_not_changes_nothing_and_asks_nobody(program: Program, plain: Tier, auditor: Actor) -> None:
    entries = Entry.objects.count()
    for actor in (auditor, SYSTEM("test")):
        with pytest.raises(Denied):
            tiers.define_tier(program_id=program.pk, facts=GOLD, reason="x", actor=actor)
        with pytest.raises(Denied):
            tiers.change_tier(tier_id=plain.pk, changes={"multiplier": Decimal(2)}, reason="x", actor=actor)
    assert not Request.objects.exists()
    assert Entry.objects.count() == entries
    assert list(Tier.objects.values_list("multiplier", flat=True)) == [Decimal(1)]


def test_it_takes_a_reason(program: Program, marketing: Actor) -> None:
    with pytest.raises(Invalid):
        tiers.define_tier(program_id=program.pk, facts=GOLD, actor=marketing)
    assert not Request.objects.exists()


def test_over_http(program: Program, finance: Actor, api: Callable[..., APIClient]) -> None:
    client = api("ops_marketing")
    body = {
        "programId": str(program.pk), "name": "Gold", "rank": 2, "threshold": 1000, "multiplier": "1.5",
        "reason": "loyal ones",
    }  # fmt: skip
    asked = client.post("/api/tiers", body, format="json")
    assert (asked.status_code, asked.json()["status"]) == (202, "approval_required")
    request = asked.json()["approvalRequestId"]
    early = client.post("/api/tiers", body, format="json", headers={"X-Approval-Request-Id": request})
    assert early.status_code >= 400
    decide_request(request_id=request, approved=True, comments="", signature="", actor=finance)
    other = {**body, "multiplier": "2"}
    refused = client.post("/api/tiers", other, format="json", headers={"X-Approval-Request-Id": request})
    assert refused.json()["code"] == "digest_mismatch"
    made = client.post("/api/tiers", body, format="json", headers={"X-Approval-Request-Id": request})
    assert (made.status_code, made.json()["multiplier"]) == (201, "1.500")
    address = f"/api/tiers/{made.json()['id']}"
    assert client.patch(address, {"multiplier": "3", "reason": "even more"}, format="json").status_code == 202
    assert Tier.objects.get().multiplier == Decimal("1.5")
