"""The eight runbooks: whole in both languages, and every question answered, by an empty and by a full database."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from loyalty.models import Balance, Campaign, Program
from loyalty.runbooks import DOMAIN
from loyalty.runbooks.checks import TABLES
from loyalty.services import awards, campaigns, launches, members, points, programs, trials
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.runbooks import library, running
from opsconsole.runbooks.proofreading import proofread
from opsconsole.runbooks.running import Standing

pytestmark = pytest.mark.django_db

EIGHT = (
    "loyalty-campaign-launch", "loyalty-emergency-freeze", "loyalty-dispute", "loyalty-budget-exhaustion",
    "loyalty-fraud-investigation", "loyalty-worker-failure", "loyalty-database-migration", "loyalty-performance",
)  # fmt: skip
DIAGNOSTICS = {one.name: one for one in DOMAIN.diagnostics}
CHECKS = {one.name: one for one in DOMAIN.checks}
NOBODY = {
    "program_id": str(uuid4()), "campaign_id": str(uuid4()), "user_id": "nobody", "origin_txn_id": "none",
    "happened_at": "2026-01-01T00:00",
}  # fmt: skip
# Questions about the database and the workers have an answer without any member.
ANSWERED_ANYHOW = {
    "database-answers", "migrations", "tables", "triggers", "connections", "table-reads", "tier-upgrades-today",
    "campaign-executions", "worker-executions", "slowest-endpoints",
}  # fmt: skip


@pytest.fixture
def everybody(person: Callable[..., Actor]) -> Actor:
    """Somebody who may ask everything."""
    return person("everybody", "ops_marketing", "admin", "auditor")


def ask(name: str, actor: Actor, **typed: str) -> list[dict[str, Any]]:
    """The answer of a diagnostic, as a reader would get it."""
    diagnostic = DIAGNOSTICS[name]
    outcome = running.run(diagnostic, running.values_of(diagnostic.parameters, typed), actor=actor)
    return [dict(zip(outcome.columns, row, strict=True)) for row in outcome.rows]


def standing(name: str, actor: Actor, **typed: str) -> Standing:
    check = CHECKS[name]
    return running.judge(check, running.values_of(check.parameters, typed), actor=actor).standing


# --- the texts --------------------------------------------------------------------------------------------------------


def test_the_eight_are_there_in_both_languages_with_the_same_parts() -> None:
    assert proofread() == []
    mine = [book for book in library.shelf().values() if book.domain.name == "loyalty"]
    assert tuple(book.id for book in mine) == EIGHT
    for book in mine:
        english, french = book.editions["en"], book.editions["fr"]
        assert english.text.parts == french.text.parts, book.id
        assert len(re.findall(r"^##", english.source, re.M)) == len(re.findall(r"^##", french.source, re.M)), book.id
        assert len(re.findall(r"^- \[ \]", english.source, re.M)) == len(re.findall(r"^- \[ \]", french.source, re.M))


def test_everything_that_is_registered_is_used() -> None:
    used = {(part.kind, part.name) for id in EIGHT for part in library.shelf()[id].parts}
    registered = {("diagnostic", name) for name in DIAGNOSTICS} | {("check", name) for name in CHECKS}
    registered |= {("action", one.name) for one in DOMAIN.actions}
    assert registered == used


def test_french_is_set_as_french_is() -> None:
    wrong = re.compile(r"\w'\w|\w [:;?!»%](\s|$)|« |[“”]", re.M)
    for id in EIGHT:
        edition = library.shelf()[id].in_language("fr")
        prose = re.sub(r"```.*?```|^::.*$|::check \S+", "", edition.source, flags=re.M | re.S)
        assert wrong.findall(prose + edition.title + edition.summary + " ".join(edition.alerts.values())) == [], id


@pytest.mark.parametrize(
    ("id", "facts"),
    [
        ("loyalty-campaign-launch", ("T-24 h", "T+1 h", "10 %", "100,000 points", "`completed`", "`scheduled`")),
        ("loyalty-emergency-freeze", ("five minutes", "finance_ops", "ops_marketing", "`suspended`", "20 entries")),
        ("loyalty-dispute", ("10,000 points", "ops_marketing and finance_ops", "the hour before and the hour after")),
        ("loyalty-budget-exhaustion", ("more than 10 %", "5 to 10 %", "less than 5 %", "50 %", "seven days")),
        ("loyalty-fraud-investigation", ("50 transactions", "10,000 points", "five members", "`confirmed_fraud`",
                                         "`suspicious_pattern_detected`", "`under_investigation`", "24 hours")),
        ("loyalty-worker-failure", ("`TIER_EVALUATOR`", "`CAMPAIGN_EXECUTOR`", "`failed`")),
        ("loyalty-database-migration", ("Program budget exhausted", *(f"`loyalty_{one}`" for one in TABLES))),
        ("loyalty-performance", ("loyalty_api_latency_seconds", "topk(5", "more than a second", "read replica")),
    ],
)  # fmt: skip
def test_the_facts_that_bind(id: str, facts: tuple[str, ...]) -> None:
    source = " ".join(library.shelf()[id].in_language("en").source.split())
    assert [fact for fact in facts if fact not in source] == []


def test_whom_to_call() -> None:
    path = {str(one.role): (str(one.then), one.reach) for one in DOMAIN.contacts}
    assert path == {
        "On-call engineer": ("tech lead", ""), "Tech lead": ("VP Engineering", ""),
        "Finance ops manager": ("CFO", ""), "Security team": ("CISO", "security@molam.com"),
    }  # fmt: skip


# --- the questions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(DIAGNOSTICS))
def test_an_empty_database_answers_everything(name: str, everybody: Actor) -> None:
    found = ask(name, everybody, **NOBODY)
    assert found == [] or name in ANSWERED_ANYHOW


def test_an_empty_database_answers_every_check(everybody: Actor) -> None:
    found = {name: standing(name, everybody, **NOBODY) for name in CHECKS}
    good = {"tables-there", "budget-rule", "no-campaign-stuck"}
    assert {name for name, one in found.items() if one is Standing.GOOD} == good
    assert {name for name, one in found.items() if one is Standing.BAD} == {"workers-alive", "backup-verified"}


def test_whoever_may_not_see_members_asks_nothing_of_them(
    person: Callable[..., Actor], browse: Callable[..., Client]
) -> None:
    trader = person("trader")
    for name, diagnostic in DIAGNOSTICS.items():
        assert not trader.may(diagnostic.permission), name
    page = browse("trader").get("/admin/runbooks/loyalty-fraud-investigation/?run=diagnostic-high-frequency-earners")
    assert page.status_code == 200
    assert "lacks the permission loyalty.view_fraudhit" in page.content.decode()
    assert "data-answer" not in page.content.decode()


def test_nor_is_told_whether_somebody_is_a_member(
    program: Program, member: Callable[..., Balance], browse: Callable[..., Client]
) -> None:
    member("alice")
    client = browse("trader")
    for user_id in ("alice", "nobody"):
        about = {"program_id": program.pk, "user_id": user_id}
        page = client.get("/admin/runbooks/loyalty-emergency-freeze/", about).content.decode()
        assert "There is nothing with these values" not in page
        assert page.count("You may not see members.") == 2  # to freeze them, to lock their points


@pytest.fixture
def campaign(program: Program, member: Callable[..., Balance], marketing: Actor) -> Campaign:
    """A campaign of 100 points for everybody with at least 200, previewed; three members, two of whom it reaches."""
    for name, earned in (("alice", 500), ("bob", 250), ("carol", 100)):
        member(name, earned, origin_txn_id=f"shop-{name}", key=f"earn:shop-{name}", ip_address="10.0.0.9")
    made = campaigns.create_campaign(
        program_id=program.pk, name="Autumn", description="For good members", bonus_points=100,
        start_date=timezone.now() + timedelta(hours=24), actor=marketing,
        target_segment={">=": [{"var": "points_balance"}, 200]},
    )  # fmt: skip
    return campaigns.preview_campaign(campaign_id=made.pk, actor=marketing)


def test_before_and_after_a_launch(
    campaign: Campaign, program: Program, marketing: Actor, finance: Actor, everybody: Actor
) -> None:
    about = {"campaign_id": str(campaign.pk), "program_id": str(program.pk)}
    (shown,) = ask("campaign-configuration", everybody, **about)
    assert list(shown) == [
        "id", "name", "campaign_type", "target_segment", "bonus_points", "start_date", "end_date", "status",
    ]  # fmt: skip
    assert ask("budget-impact", everybody, **about) == [
        {"target_users": 2, "estimated_cost": 200, "budget_remaining": Decimal(999_150), "budget_reserved": 0}
    ]
    before = ("segment-previewed", "within-budget", "dates-ahead", "campaign-described", "program-open")
    assert {name: standing(name, everybody, **about) for name in before} == dict.fromkeys(before, Standing.GOOD)
    assert standing("launch-approved", everybody, **about) is Standing.OPEN
    assert standing("test-run", everybody, **about) is Standing.BAD

    trials.award_test(campaign_id=campaign.pk, user_ids=["alice"], actor=marketing)
    for name in ("test-run", "test-points-right", "audit-recorded"):
        assert standing(name, everybody, **about) is Standing.GOOD, name
    campaigns.preview_campaign(campaign_id=campaign.pk, actor=marketing)
    now = timezone.now() - timedelta(seconds=1)
    asked = launches.schedule_campaign(campaign_id=campaign.pk, start_date=now, reason="agreed", actor=marketing)
    assert standing("launch-approved", everybody, **about) is Standing.BAD
    assert [row["id"] for row in ask("approval-requests", everybody)] == [asked.request.pk]
    decide_request(request_id=asked.request.pk, approved=True, comments="", signature="", actor=finance)
    assert standing("launch-approved", everybody, **about) is Standing.GOOD

    executor = SYSTEM("campaign_executor")
    launches.launch_campaign(campaign_id=campaign.pk, actor=executor)
    assert standing("campaign-completed", everybody, **about) is Standing.BAD
    awards.award_chunk(campaign_id=campaign.pk, actor=executor)
    awards.finish_campaign(campaign_id=campaign.pk, actor=executor)
    after = ("campaign-completed", "members-awarded", "points-as-estimated", "executed-at", "launch-approved")
    assert {name: standing(name, everybody, **about) for name in after} == dict.fromkeys(after, Standing.GOOD)
    (result,) = ask("campaign-result", everybody, **about)
    assert (result["status"], result["users_awarded"], result["total_points_awarded"]) == ("completed", 2, 200)
    (progress,) = ask("campaign-progress", everybody, **about)
    assert (progress["audience_size"], progress["chunks"], progress["awarded"], progress["points"]) == (1, 1, 2, 200)
    assert {row["user_id"]: row["awarded"] for row in ask("awarded-members", everybody, **about)} == {
        "alice": 100, "bob": 100,
    }  # fmt: skip
    assert ask("program-budget", everybody, **about)[0]["budget_spent"] == 1_050
    assert {row["action"] for row in ask("campaign-trail", everybody, **about)} >= {"campaign.launched"}
    assert [row["reason"] for row in ask("campaign-skips", everybody, **about)] == ["tested"]
    assert "campaign.launched" in {row["topic"] for row in ask("campaign-webhooks", everybody, **about)}


def test_what_a_test_run_has_given_is_not_asked_of_the_budget_again(
    campaign: Campaign, program: Program, marketing: Actor, everybody: Actor
) -> None:
    trials.award_test(campaign_id=campaign.pk, user_ids=["alice"], actor=marketing)
    campaigns.preview_campaign(campaign_id=campaign.pk, actor=marketing)
    for limit, found in ((1_050, Standing.GOOD), (1_049, Standing.BAD)):  # 950 are spent, 100 are still to be given
        programs.change_budget(program_id=program.pk, budget_limit=Decimal(limit), reason="cut", actor=marketing)
        assert standing("within-budget", everybody, campaign_id=str(campaign.pk)) is found


def test_stopping_one_member(member: Callable[..., Balance], marketing: Actor, everybody: Actor) -> None:
    alice = member("alice", 500)
    about = {"user_id": "alice", "program_id": str(alice.program_id)}
    assert standing("member-frozen", everybody, **about) is Standing.BAD
    members.freeze_members(
        balance_ids=[alice.pk], reason="taken over", flag="emergency_freeze_2026-11-21", lock_all=True, actor=marketing
    )
    assert standing("member-frozen", everybody, **about) is Standing.GOOD
    assert standing("points-locked", everybody, **about) is Standing.GOOD
    (shown,) = ask("member", everybody, **about)
    assert (shown["id"], shown["is_frozen"], shown["locked"]) == (alice.pk, True, 500)
    assert [row["action"] for row in ask("member-trail", everybody, **about)] == ["member.frozen"]
    (day,) = ask("transaction-pattern", everybody, **about)
    assert (day["event_type"], day["txn_count"], day["total_points"]) == ("earn", 1, 500)
    assert [row["user_id"] for row in ask("flagged-members", everybody)] == ["alice"]
    assert ask("program-status", everybody, **about)[0]["status"] == "active"
    assert standing("program-suspended", everybody, **about) is Standing.BAD


def test_a_dispute(member: Callable[..., Balance], marketing: Actor, everybody: Actor) -> None:
    alice = member("alice", 500, origin_txn_id="shop-100%_1", key="earn:shop-100%_1")
    about = {"user_id": "alice", "program_id": str(alice.program_id), "origin_txn_id": "shop-100%_1"}
    assert [row["amount"] for row in ask("transaction-by-origin", everybody, **about)] == [500]
    assert [row["amount"] for row in ask("transaction-by-key", everybody, **about)] == [500]
    assert ask("transaction-by-origin", everybody, **about | {"user_id": "bob"}) == []
    assert ask("transaction-by-key", everybody, **about | {"origin_txn_id": "100%1"}) == []  # no pattern, a text
    at = timezone.now().isoformat()
    assert [row["user_id"] for row in ask("audit-trail", everybody, happened_at=at)] == ["alice"]
    assert ask("audit-trail", everybody, happened_at="2020-01-01T00:00") == []
    points.adjust_points(balance_id=alice.pk, amount=9_000, reason="Ticket 1", actor=marketing)
    assert standing("adjustable-alone", everybody, **about) is Standing.GOOD
    points.adjust_points(balance_id=alice.pk, amount=-900, reason="Ticket 2", actor=marketing)
    adjusted = ask("recent-adjustments", everybody, **about)
    assert sorted(row["amount"] for row in adjusted) == [-900, 9_000]
    assert max(row["added_up"] for row in adjusted) == 9_900


@pytest.mark.parametrize(("spent", "decision"), [(899_999, "watch"), (900_000, "prepare"), (950_001, "act")])
def test_a_budget(member: Callable[..., Balance], everybody: Actor, spent: int, decision: str) -> None:
    alice = member("alice", spent)
    about = {"program_id": str(alice.program_id)}
    nearly = ask("budgets-nearly-spent", everybody)
    assert [row["remaining"] for row in nearly] == ([] if spent < 900_000 else [1_000_000 - spent])
    assert ask("budget-decision", everybody, **about)[0]["decision"] == decision
    assert [row["points_awarded"] for row in ask("spending-rate", everybody, **about)] == [spent]


def test_a_budget_that_is_reserved_is_as_good_as_spent(
    campaign: Campaign, program: Program, marketing: Actor, finance: Actor, everybody: Actor
) -> None:
    programs.change_budget(program_id=program.pk, budget_limit=Decimal(1_060), reason="cut", actor=marketing)
    about, now = {"program_id": str(program.pk)}, timezone.now() - timedelta(seconds=1)
    assert ask("budget-decision", everybody, **about)[0]["decision"] == "watch"
    asked = launches.schedule_campaign(campaign_id=campaign.pk, start_date=now, actor=marketing)
    decide_request(request_id=asked.request.pk, approved=True, comments="", signature="", actor=finance)
    launches.launch_campaign(campaign_id=campaign.pk, actor=SYSTEM("campaign_executor"))
    (told,) = ask("budget-decision", everybody, **about)
    assert (told["remaining_pct"], told["reserved_pct"]) == (Decimal("19.81"), Decimal("18.87"))
    assert told["decision"] == "act"


def test_fraud(member: Callable[..., Balance], marketing: Actor, everybody: Actor) -> None:
    for number in range(6):
        member(f"user-{number}", 10_001 if number == 0 else 10, ip_address="10.0.0.9")
    member("often", 1)
    _earn_often("often", 50)
    found = {row["user_id"]: row["txn_count"] for row in ask("high-frequency-earners", everybody)}
    assert found == {"user-0": 1, "often": 51}
    assert [(str(row["ip_address"]), row["user_count"]) for row in ask("shared-addresses", everybody)] == [
        ("10.0.0.9", 6)
    ]
    assert ask("shared-addresses", everybody, sharing="6") == []
    assert ask("frequent-redemptions", everybody) == []
    assert ask("earning-spikes", everybody) == []


def _earn_often(user_id: str, times: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into loyalty_transactions (balance_id, event_type, amount)"
            " select b.id, 'earn', 1 from loyalty_balances b, generate_series(1, %s) where b.user_id = %s",
            [times, user_id],
        )


def test_what_is_stuck(campaign: Campaign, everybody: Actor) -> None:
    assert ask("stuck-campaigns", everybody) == []
    with connection.cursor() as cursor:
        cursor.execute("update loyalty_campaigns set status = 'scheduled', start_date = now() - interval '3 hours'")
    assert [row["id"] for row in ask("stuck-campaigns", everybody)] == [campaign.pk]
    assert standing("no-campaign-stuck", everybody) is Standing.BAD
    assert ask("stalled-campaigns", everybody) == []


def test_the_database(everybody: Actor) -> None:
    assert {f"loyalty_{name}" for name in TABLES} <= {row["table_name"] for row in ask("tables", everybody)}
    on = {row["event_object_table"] for row in ask("triggers", everybody)}
    assert {"loyalty_transactions", "loyalty_balances", "loyalty_programs", "loyalty_campaigns"} <= on
    assert ask("connections", everybody)[0]["active_connections"] >= 1
    assert ask("database-answers", everybody)[0]["read_only"] is False


def test_every_page_opens_about_something(campaign: Campaign, browse: Callable[..., Client]) -> None:
    client = browse("everybody", "ops_marketing", "admin", "auditor")
    typed = {"campaign_id": campaign.pk, "program_id": campaign.program_id, "user_id": "alice"}
    buttons: set[str] = set()
    for id in EIGHT:
        for language in ("en", "fr"):
            page = client.get(f"/admin/runbooks/{id}/", typed, headers={"accept-language": language})
            assert page.status_code == 200, id
            buttons |= set(re.findall(r'<a[^>]*?href="([^"]+)"\s+data-leads-to', page.content.decode()))
    assert len(buttons) >= len(DOMAIN.actions) - 3  # a draft is not executed, paused or marked as failed
    assert {url: client.get(url).status_code for url in buttons if client.get(url).status_code != 200} == {}
