"""Pages that stood open for a while, and forms that are sent wrong, twice, or of something that has moved since."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import Model
from django.test import Client
from django.utils import timezone
from guardian.shortcuts import assign_perm

from loyalty.campaigns import chunks
from loyalty.jobs.campaigns import undo_campaign
from loyalty.models import Balance, Campaign, Dispute, Program, Reward, Rule, Tier, Transaction
from loyalty.services import (
    awards,
    campaigns,
    disputes,
    launches,
    members,
    points,
    programs,
    rewards,
    rules,
    tiers,
    undoing,
)
from loyalty.services.tiers import TierFacts
from opsconsole.approvals.gate import Asked
from opsconsole.approvals.models import Request
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor
from tests.loyalty.campaigns.conftest import enrol, execute
from tests.loyalty.test_shop_pages import address, press, shown

pytestmark = pytest.mark.django_db(transaction=True)

Browse = Callable[..., Client]


def as_seen(client: Client, row: Model, button: str) -> dict[str, str]:
    """What a browser sends of the form of a button that nobody has typed in."""
    form = client.get(address(row, button)).context["form"]
    sent = {}
    for field in form:
        value = field.value()
        typed = f"{value:%Y-%m-%dT%H:%M}" if isinstance(value, datetime) else value
        sent[field.html_name] = "" if typed is None else str(typed)
        if field.field.show_hidden_initial:
            sent[field.html_initial_name] = "" if value is None else str(value)
    return sent


def send(client: Client, row: Model, button: str, seen: dict[str, str], **typed: str) -> Any:
    return client.post(address(row, button), {**seen, "reason": "because", **typed})


def agreed(asked: object, finance: Actor) -> Request:
    assert isinstance(asked, Asked)
    return decide_request(request_id=asked.request.pk, approved=True, comments="", signature="", actor=finance)


def draft(program: Program, marketing: Actor, **facts: Any) -> Campaign:
    begun = {"name": "Spring", "bonus_points": 10, "start_date": timezone.now() - timedelta(seconds=1), **facts}
    return campaigns.create_campaign(program_id=program.pk, **begun, actor=marketing)


class TestCarryingOut:
    @pytest.fixture
    def both(self, program: Program, marketing: Actor, finance: Actor) -> tuple[Request, Request]:
        """A budget and a suspension, asked for by one person, and agreed to."""
        more = programs.change_budget(
            program_id=program.pk, budget_limit=Decimal(2_000_000), reason="more", actor=marketing
        )
        stop = programs.suspend_program(program_id=program.pk, reason="stop", actor=marketing)
        return agreed(more, finance), agreed(stop, finance)

    def test_what_the_form_names_is_done_and_nothing_else(
        self,
        program: Program,
        both: tuple[Request, Request],
        browse: Browse,
    ) -> None:
        client, (more, stop) = browse("ops_marketing"), both
        page = client.get(address(program, "carry-out"))
        assert page.context["form"].fields["request"].choices[1:] == [
            (str(more.pk), more.title),
            (str(stop.pk), stop.title),
        ]
        assert [section.title for section in page.context["sections"]] == [more.title, stop.title]
        seen = as_seen(client, program, "carry-out") | {"request": str(stop.pk), "typed": program.name}
        for _time in range(2):  # the second press gets the answer of the first
            assert send(client, program, "carry-out", seen).status_code == 302
        program.refresh_from_db()
        assert (program.status, program.budget_limit) == ("suspended", Decimal(1_000_000))
        assert {one.title: one.status for one in Request.objects.all()} == {
            more.title: "approved",
            stop.title: "consumed",
        }

    def test_what_is_another_persons_or_of_another_program_is_not(
        self,
        program: Program,
        both: tuple[Request, Request],
        browse: Browse,
        marketing: Actor,
    ) -> None:
        other = programs.create_program(name="Other", budget_limit=Decimal(9), actor=marketing)
        for who, row, status, said in (
            ("finance_ops", program, 400, "Nothing of yours is approved here."),
            ("ops_marketing", other, 404, "This is no approval request for what you want to do here."),
        ):
            told = {"key": str(uuid4()), "request": str(both[0].pk), "typed": row.name}
            answer = send(browse(who), row, "carry-out", told)
            assert (answer.status_code, said in answer.content.decode()) == (status, True), answer.content
        program.refresh_from_db()
        assert program.budget_limit == Decimal(1_000_000)

    def test_that_an_older_request_is_void_is_said(self, program: Program, browse: Browse) -> None:
        client = browse("ops_marketing")
        said = {"program": program.pk, "window_months": 12, "multiplier": "2"}
        first = press(client, Tier, "new", name="Silver", rank=2, threshold=100, **said).content.decode()
        assert "is void" not in first
        assert "one such thing is asked for at a time" in client.get(address(Tier, "new")).content.decode()
        second = press(client, Tier, "new", name="Gold", rank=3, threshold=500, **said).content.decode()
        assert "What you asked for before is void by it: Tier Silver of Club: times 2." in second


class TestStaleForms:
    def test_an_edited_campaign_keeps_its_seconds_and_what_another_changed(
        self,
        program: Program,
        marketing: Actor,
        browse: Browse,
    ) -> None:
        ends = datetime(2026, 3, 7, 23, 59, 59, tzinfo=UTC)
        window = {"window_start": ends - timedelta(days=7), "window_end": ends}
        campaign = draft(program, marketing, campaign_type="multiplier", **window)
        client = browse("ops_marketing")
        seen = as_seen(client, campaign, "edit")
        campaigns.edit_campaign(campaign_id=campaign.pk, changes={"bonus_points": 20}, actor=marketing)
        assert send(client, campaign, "edit", seen, description="for all").status_code == 302
        campaign.refresh_from_db()
        assert (campaign.description, campaign.bonus_points, campaign.window_end) == ("for all", 20, ends)

    def test_a_time_that_another_moved_stays_moved(self, program: Program, marketing: Actor, browse: Browse) -> None:
        starts = datetime(2030, 3, 7, 10, 0, 30, tzinfo=UTC)  # of which a form shows no seconds
        later, kept = starts + timedelta(days=1), {"program_id": program.pk, "actor": marketing}
        campaign, client = draft(program, marketing, start_date=starts), browse("ops_marketing")
        cap = {"cap_points": 9, "period_days": 1, "starts_at": starts}
        rule = rules.create_rule(name="Daily", kind="cap", reason="because", **cap, **kept)
        assert isinstance(rule, Rule)
        of_campaign, of_rule = as_seen(client, campaign, "edit"), as_seen(client, rule, "edit")
        campaigns.edit_campaign(campaign_id=campaign.pk, changes={"start_date": later}, actor=marketing)
        rules.change_rule(rule_id=rule.pk, changes={"starts_at": later}, reason="later", actor=marketing)
        assert send(client, campaign, "edit", of_campaign, name="Summer").status_code == 302
        assert send(client, rule, "edit", of_rule, name="Weekly").status_code == 302
        assert Campaign.objects.values_list("name", "start_date").get() == ("Summer", later)
        assert Rule.objects.values_list("name", "starts_at").get() == ("Weekly", later)
        of_campaign, of_rule = as_seen(client, campaign, "edit"), as_seen(client, rule, "edit")
        assert send(client, campaign, "edit", of_campaign, start_date="2030-03-08T10:01").status_code == 302
        assert send(client, rule, "edit", of_rule, starts_at="").status_code == 302
        assert Campaign.objects.get().start_date == datetime(2030, 3, 8, 10, 1, tzinfo=UTC)
        assert Rule.objects.get().starts_at is None

    def test_a_form_of_a_draft_voids_no_approval(
        self,
        program: Program,
        member: Callable[..., Balance],
        marketing: Actor,
        browse: Browse,
    ) -> None:
        member("alice", 5)
        campaign = draft(program, marketing)
        client = browse("ops_marketing")
        seen = as_seen(client, campaign, "edit")
        asked = launches.schedule_campaign(campaign_id=campaign.pk, reason="", actor=marketing)
        refused = send(client, campaign, "edit", seen, name="Summer")
        assert "The campaign is scheduled; only a draft can be edited." in refused.content.decode()
        asked.request.refresh_from_db()
        assert asked.request.status == "pending"
        # The page that tells so asks whether what was approved shall be void: who sends that means it.
        assert "What was approved is void." in refused.context["question"]
        meant = {**seen, "was": refused.context["form"]["was"].value()}
        assert send(client, campaign, "edit", meant, name="Summer").status_code == 302
        asked.request.refresh_from_db()
        assert asked.request.status == "void"
        campaign.refresh_from_db()
        assert (campaign.name, campaign.status) == ("Summer", "draft")

    def test_a_tier_and_a_reward_keep_what_another_changed(
        self,
        program: Program,
        marketing: Actor,
        browse: Browse,
    ) -> None:
        tier = tiers.define_tier(program_id=program.pk, facts=TierFacts("Silver", 2, 100), actor=marketing)
        reward = rewards.create_reward(
            program_id=program.pk, name="Cup", points=9, stock=None, per_member=None, actor=marketing
        )
        assert isinstance(tier, Tier)
        client = browse("ops_marketing")
        of_tier, of_reward = as_seen(client, tier, "edit"), as_seen(client, reward, "edit")
        tiers.change_tier(tier_id=tier.pk, changes={"threshold": 200}, reason="more", actor=marketing)
        rewards.change_reward(reward_id=reward.pk, changes={"points": 10}, reason="more", actor=marketing)
        for _time in range(2):  # also when it is sent twice
            assert send(client, tier, "edit", of_tier, name="Argent").status_code == 302
            assert send(client, reward, "edit", of_reward, name="Tasse").status_code == 302
        assert Tier.objects.values_list("name", "threshold").get() == ("Argent", 200)
        assert Reward.objects.values_list("name", "points").get() == ("Tasse", 10)

    def test_what_is_typed_otherwise_after_the_way_back_can_be_meant(
        self,
        member: Callable[..., Balance],
        browse: Browse,
    ) -> None:
        alice, client = member("alice", 100), browse("ops_marketing")
        seen = as_seen(client, alice, "adjust")
        assert send(client, alice, "adjust", seen, amount="5").status_code == 302
        again = send(client, alice, "adjust", seen, amount="7")
        assert again.status_code == 422
        assert "This form was sent before, and that was done." in again.content.decode()
        alice.refresh_from_db()
        assert alice.points_balance == 105
        meant = {**seen, "key": again.context["form"]["key"].value()}
        assert send(client, alice, "adjust", meant, amount="7").status_code == 302
        alice.refresh_from_db()
        assert alice.points_balance == 112

    def test_a_factor_of_ten_is_shown_as_one(self, program: Program, browse: Browse) -> None:
        Program.objects.filter(pk=program.pk).update(earn_rate=10)
        assert as_seen(browse("ops_marketing"), program, "earn-rate")["earn_rate"] == "10"


class TestWhatIsOver:
    @pytest.mark.parametrize("way", ["refuse", "adjust"])
    def test_nobody_is_asked_about_a_dispute_that_has_ended(
        self, way: str, member: Callable[..., Balance], marketing: Actor, browse: Browse
    ) -> None:
        alice, client = member("alice", 5), browse("ops_marketing")
        said = {"balance_id": alice.pk, "happened_at": timezone.now(), "actor": marketing}
        dispute = disputes.open_dispute(ticket="T-1", origin_txn_id="o-1", **said)
        assert "Others must agree first" in press(client, dispute, "adjust", amount=50_000).content.decode()
        asked = Request.objects.get()
        assert address(dispute, "change") in shown(browse("finance_ops"), asked)  # who decides can look at the evidence
        assert press(client, dispute, way, amount=7).status_code == 200
        asked.refresh_from_db()
        dispute.refresh_from_db()
        assert (dispute.status in ("refused", "adjusted"), asked.status) == (True, "void")
        again = send(client, dispute, way, as_seen(client, dispute, way), amount="7").content.decode()
        assert f"The dispute is {dispute.status} already." in again
        about_another = disputes.open_dispute(ticket="T-2", origin_txn_id="o-2", **said)
        press(client, alice, "adjust", amount=50_000)
        press(client, about_another, "refuse")
        assert Request.objects.get(status="pending").content["amount"] == 50_000  # which is not about the dispute

    def test_why_a_campaign_failed_is_said_after_its_undo_too(
        self, program: Program, member: Callable[..., Balance], marketing: Actor, finance: Actor, browse: Browse
    ) -> None:
        member("alice", 5)
        campaign = draft(program, marketing)
        agreed(launches.schedule_campaign(campaign_id=campaign.pk, reason="", actor=marketing), finance)
        launches.launch_campaign(campaign_id=campaign.pk, actor=marketing)
        awards.award_chunk(campaign_id=campaign.pk, actor=marketing)
        campaigns.mark_campaign_failed(campaign_id=campaign.pk, reason="The wrong segment.", actor=marketing)
        undoing.request_undo(campaign_id=campaign.pk, reason="take it back", actor=finance)
        awards.note_fault(campaign_id=campaign.pk, why="The disk is full.", actor=marketing)
        undo_campaign(str(campaign.pk))
        campaign.refresh_from_db()
        assert campaign.undone_at is not None
        notice = browse("auditor").get(address(campaign, "change")).context["sections"][0]
        assert (str(notice.title), notice.text) == ("It failed", "The wrong segment.")


class TestWhoMaySayIt:
    def test_a_right_in_one_program_has_its_buttons_there(
        self, program: Program, member: Callable[..., Balance], marketing: Actor, person: Callable[..., Actor]
    ) -> None:
        member("alice", 5)
        other = programs.create_program(name="Other", budget_limit=Decimal(9), actor=marketing)
        user, client = person("auditor").user, Client()
        assert user is not None
        for right in ("draft_campaign", "adjust_points"):
            assign_perm(f"loyalty.{right}", user, program)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        for model in (Campaign, Dispute):
            assert 'data-action="new"' in shown(client, model)
            offered = client.get(address(model, "new")).context["form"].fields["program"].queryset
            assert list(offered) == [program]
        said = {"name": "Spring", "bonus_points": 1, "start_date": "2030-01-01T00:00"}
        assert press(client, Campaign, "new", program=other.pk, **said).status_code == 400
        assert (
            press(client, Campaign, "new", program=program.pk, campaign_type="bonus_points", **said).status_code == 200
        )
        assert Campaign.objects.get().program_id == program.pk


class TestWhatIsSaid:
    def test_a_name_is_typed_as_it_is_seen(self, program: Program, marketing: Actor, browse: Browse) -> None:
        campaign, client = draft(program, marketing, name="Spring  sale\N{NO-BREAK SPACE}20 %"), browse("ops_marketing")
        seen = as_seen(client, campaign, "cancel")
        assert send(client, campaign, "cancel", seen, typed="Springsale 20 %").status_code == 400
        assert send(client, campaign, "cancel", seen, typed="Spring sale 20 %").status_code == 302
        campaign.refresh_from_db()
        assert campaign.status == "cancelled"

    def test_a_test_run_on_nobody(self, program: Program, marketing: Actor, browse: Browse) -> None:
        campaign, client = draft(program, marketing), browse("ops_marketing")
        seen = as_seen(client, campaign, "test")
        answer = send(client, campaign, "test", seen, members="nobody")
        assert answer.status_code == 404
        assert "There is no member nobody in this program." in answer.content.decode()
        assert answer.context["form"]["members"].value() == "nobody"

    def test_one_point_each_and_which_chunk_it_was(
        self,
        monkeypatch: pytest.MonkeyPatch,
        program: Program,
        marketing: Actor,
        finance: Actor,
        browse: Browse,
    ) -> None:
        monkeypatch.setattr(chunks, "CHUNK", 10)
        enrol(program=program, count=11, actor=marketing)
        campaign, client = draft(program, marketing, bonus_points=1), browse("ops_marketing")
        agreed(launches.schedule_campaign(campaign_id=campaign.pk, reason="", actor=marketing), finance)
        execute(campaign)
        page = shown(client, campaign)
        assert "1 point each" in page
        assert "chunk 1, 10 members" in page
        assert "chunk 2, 1 member<" in page
        question = client.get(address(campaign, "undo")).context["question"]
        assert "Take back what Spring gave: 11 points of 11 members?" in question

    def test_what_broke_a_launched_campaign_off_is_not_said_to_hold_its_launch(
        self, program: Program, member: Callable[..., Balance], marketing: Actor, finance: Actor, browse: Browse
    ) -> None:
        member("alice", 5)
        campaign, client = draft(program, marketing), browse("ops_marketing")
        agreed(launches.schedule_campaign(campaign_id=campaign.pk, reason="", actor=marketing), finance)
        launches.launch_campaign(campaign_id=campaign.pk, actor=marketing)
        awards.note_fault(campaign_id=campaign.pk, why="The disk is full.", actor=marketing)
        notice = client.get(address(campaign, "change")).context["sections"][0]
        assert (notice.text, str(notice.title)) == ("The disk is full.", "Broken off")

    def test_what_is_left_to_take_back(
        self,
        member: Callable[..., Balance],
        marketing: Actor,
        browse: Browse,
    ) -> None:
        member("alice", 100)
        earned, client = Transaction.objects.get(), browse("ops_marketing")
        assert as_seen(client, earned, "reverse")["points"] == ""
        points.reverse_transaction(transaction_id=earned.pk, points=30, reason="half", actor=marketing)
        assert as_seen(client, earned, "reverse")["points"] == "70"
        press(client, earned, "reverse")
        assert 'data-action="reverse"' not in shown(client, earned)

    def test_who_is_frozen_can_redeem_nothing(
        self,
        member: Callable[..., Balance],
        marketing: Actor,
        browse: Browse,
    ) -> None:
        alice = member("alice", 100)
        members.freeze_members(balance_ids=[alice.pk], reason="odd", flag="", lock_all=False, actor=marketing)
        figures = browse("auditor").get(address(alice, "change")).context["sections"][0]
        assert [value for _name, value, _url in figures.figures] == ["100", "0", "0"]

    def test_a_day_is_asked_for_of_one_program(self, program: Program, browse: Browse) -> None:
        page = browse("auditor").get(address(Program, "liability"), {"program": "", "as_of": "2030-01-01"})
        assert "What expires by a day is worked out for one program: choose it." in page.content.decode()
