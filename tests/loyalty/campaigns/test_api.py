"""Campaigns over HTTP, as runbook 1 goes through them: drafted, tested, agreed to, executed, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from loyalty.jobs import campaigns as jobs
from loyalty.models import Campaign
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from tests.loyalty.campaigns.conftest import TESTER, Desk, assert_books_agree, execute, fresh

pytestmark = pytest.mark.django_db(transaction=True)

WORKER = "/api/workers/campaign-execution"


@operation
def start_now(*, campaign: str, actor: Actor) -> None:
    Campaign.objects.filter(pk=campaign).update(start_date="2020-01-01T00:00:00Z")


def test_the_runbook_from_end_to_end(desk: Desk, api: Callable[..., APIClient]) -> None:
    marketing, finance, admin = api("ops_marketing"), api("finance_ops"), api("admin")

    def post(client: APIClient, address: str, status: int, **body: Any) -> Any:
        answer = client.post(address, body, format="json")
        assert answer.status_code == status, answer.content
        return answer.json()

    made = post(
        marketing,
        "/api/campaigns",
        201,
        programId=str(desk.program.pk),
        name="Spring bonus",
        description="Thanks to everybody",
        targetSegment={"<": [{"var": "points_balance"}, 100]},
        bonus_points=10,
        startDate="2199-01-01T00:00:00Z",
    )
    address = f"/api/campaigns/{made['id']}"
    assert (made["status"], made["bonusPoints"], made["preview"]) == ("draft", 10, None)
    assert made["targetSegment"] == {"<": [{"var": "points_balance"}, 100]}
    previewed = post(marketing, f"{address}/preview", 200)["preview"]
    assert (previewed["members"], previewed["budget"]["leftAfter"]) == (25, "999750.00")
    assert post(marketing, f"{address}/test", 200, userIds=["m3"])["awarded"][0]["points"] == 10
    asked = post(marketing, f"{address}/schedule", 202)
    assert (asked["status"], asked["requiredRoles"]) == ("approval_required", ["finance_ops"])
    assert post(admin, WORKER, 409, campaignId=made["id"])["code"] == "campaign_not_due"
    start_now(campaign=made["id"], actor=TESTER)
    waits = post(admin, WORKER, 202, campaign_id=made["id"])
    assert (waits["status"], waits["approvalRequestId"]) == ("approval_required", asked["approvalRequestId"])
    post(finance, f"/api/approvals/{asked['approvalRequestId']}/approve", 200, approved=True, comments="seen")
    accepted = admin.post(
        WORKER,
        {"campaignId": made["id"]},
        format="json",
        headers={"X-Approval-Request-Id": asked["approvalRequestId"]},
    )
    assert (accepted.status_code, accepted.json()["status"]) == (202, "accepted")
    assert execute(Campaign.objects.get()).status == "completed"

    shown = marketing.get(address).json()
    assert (shown["usersAwarded"], shown["totalPointsAwarded"], shown["failure"]) == (25, 250, "")
    assert shown["progress"] == {
        "chunksDone": 1, "chunks": 1, "membersDone": 24, "members": 24, "heldBackBy": "",
        "movedAt": shown["progress"]["movedAt"],
    }  # fmt: skip
    assert shown["approval"]["status"] == "consumed"
    found = marketing.get(f"{address}/checklist").json()
    assert {one["key"]: one["holds"] for one in found["checklists"]} == {"before": True, "launch": True, "after": True}
    assert len(found["sample"]) == 5
    skipped = marketing.get(f"{address}/skips?reason=tested").json()["results"]
    assert [(one["userId"], one["reason"]) for one in skipped] == [("m3", "tested")]
    assert [one["id"] for one in marketing.get("/api/campaigns?status=completed").json()["results"]] == [made["id"]]

    assert post(marketing, f"{address}/pause", 409, reason="too late")["code"] == "wrong_state"
    assert post(finance, f"{address}/undo", 200, reason="the wrong segment")["undo"]["finished"] is False
    jobs.undo_campaign(made["id"])
    assert finance.get(address).json()["undo"] == {
        "pointsGiven": 250, "pointsTakenBack": 250, "pointsSpent": 0, "membersAwarded": 25, "membersAffected": 25,
        "membersShort": 0, "finished": True,
    }  # fmt: skip
    assert_books_agree(desk.program)


def test_what_is_wrong_is_said_by_field(desk: Desk, api: Callable[..., APIClient]) -> None:
    marketing = api("ops_marketing")
    campaign = desk.draft()
    address = f"/api/campaigns/{campaign.pk}"
    for body, field in (
        ({"bonusPoints": 0}, "bonusPoints"),
        ({"endDate": "2001-01-01T00:00:00Z"}, "endDate"),
        ({"windowStart": "2001-01-01T00:00:00Z"}, "windowStart"),
        ({"targetSegment": {"xor": []}}, "targetSegment"),
        ({"campaignType": "lottery"}, "campaignType"),
        ({"usersAwarded": 5}, "usersAwarded"),
        ({"status": "running"}, "status"),
    ):
        answer = marketing.patch(address, body, format="json")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field]), answer.content
    assert marketing.patch(address, {"name": "Summer"}, format="json").json()["name"] == "Summer"
    desk.schedule(campaign)
    back = marketing.patch(address, {"status": "draft", "bonusPoints": 12}, format="json").json()
    assert (back["status"], back["bonusPoints"]) == ("draft", 12)
    assert fresh(campaign).preview is None


@pytest.mark.parametrize("segment", ["all", "", 0, False, [], ["ab"], [["and", []]], None])
def test_what_is_no_segment_is_not_taken_for_everybody(desk: Desk, api: Callable[..., APIClient], segment: Any) -> None:
    body = {
        "programId": str(desk.program.pk),
        "name": "Spring",
        "bonusPoints": 10,
        "startDate": "2027-03-20T08:00:00Z",
        "targetSegment": segment,
    }
    answer = api("ops_marketing").post("/api/campaigns", body, format="json")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["targetSegment"]), answer.content
    assert not Campaign.objects.exists()


def test_the_same_request_under_a_key_schedules_once(desk: Desk, api: Callable[..., APIClient]) -> None:
    campaign, marketing = desk.draft(), api("ops_marketing")
    answers = [
        marketing.post(
            f"/api/campaigns/{campaign.pk}/schedule", {}, format="json", headers={"Idempotency-Key": "launch-1"}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"
