"""A program full of members, and campaigns taken as far as a test wants them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from loyalty.campaigns import chunks
from loyalty.jobs import campaigns as jobs
from loyalty.models import Campaign, Program
from loyalty.services import campaigns, launches
from opsconsole.approvals import services as approvals
from opsconsole.approvals.gate import Asked
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation

TESTER = SYSTEM("test")


@operation
def enrol(*, program: Program, count: int, prefix: str = "m", actor: Actor) -> None:
    """So many members without points."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into loyalty_balances (program_id, user_id) select %s, %s || n from generate_series(1, %s) n",
            [program.pk, prefix, count],
        )


@dataclass
class Desk:
    """The people at work on campaigns of one program."""

    program: Program
    marketing: Actor
    finance: Actor

    def draft(self, **changes: Any) -> Campaign:
        facts = {"name": "Spring", "bonus_points": 10, "start_date": timezone.now() - timedelta(seconds=1), **changes}
        return campaigns.create_campaign(
            program_id=facts.pop("program_id", self.program.pk), **facts, actor=self.marketing
        )

    def schedule(self, campaign: Campaign, **changes: Any) -> Asked:
        return launches.schedule_campaign(campaign_id=campaign.pk, **changes, actor=self.marketing)

    def approve(self, asked: Asked) -> None:
        approvals.decide_request(
            request_id=asked.request.pk, approved=True, comments="seen", signature="", actor=self.finance
        )

    def agreed(self, **changes: Any) -> Campaign:
        """Scheduled, and agreed to by finance."""
        campaign = self.draft(**changes)
        self.approve(self.schedule(campaign))
        return fresh(campaign)

    def launched(self, **changes: Any) -> Campaign:
        """Launched, and nobody awarded yet."""
        campaign = self.agreed(**changes)
        launches.launch_campaign(campaign_id=campaign.pk, actor=TESTER)
        return fresh(campaign)


@pytest.fixture
def desk(program: Program, marketing: Actor, finance: Actor) -> Desk:
    """Marketing and finance, with 25 members in the program."""
    enrol(program=program, count=25, actor=TESTER)
    return Desk(program, marketing, finance)


@pytest.fixture
def by_tens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of ten: 25 members make three."""
    monkeypatch.setattr(chunks, "CHUNK", 10)


def fresh(campaign: Campaign) -> Campaign:
    """The campaign as it is now."""
    return Campaign.objects.select_related("program").get(pk=campaign.pk)


def execute(campaign: Campaign) -> Campaign:
    """Let a worker at it; the campaign afterwards."""
    jobs.execute_campaign(str(campaign.pk))
    return fresh(campaign)


def query(sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """Rows, past the models."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def assert_books_agree(program: Program) -> None:
    """Balances, budgets and the campaigns' totals are what the ledger says."""
    wrong = query(
        "select b.user_id from loyalty_balances b where b.points_balance <> coalesce("
        " (select sum(t.amount) from loyalty_transactions t where t.balance_id = b.id), 0)"
    )
    assert wrong == []
    spent = """select coalesce(sum(case when t.event_type in ('earn', 'bonus') then t.amount
        when t.event_type = 'adjust' then greatest(t.amount, 0) when t.event_type = 'reverse' then least(t.amount, 0)
        else 0 end), 0) from loyalty_transactions t join loyalty_balances b on b.id = t.balance_id
        where b.program_id = p.id"""
    assert query(f"select p.name from loyalty_programs p where p.budget_spent <> ({spent})") == []
    reserved = "select coalesce(sum(c.points_reserved), 0) from loyalty_campaigns c where c.program_id = p.id"
    assert query(f"select p.name from loyalty_programs p where p.budget_reserved <> ({reserved})") == []
    awarded = "select {} from loyalty_transactions t where t.campaign_id = c.id and t.event_type = 'bonus'"
    for column, total in (("users_awarded", "count(*)"), ("total_points_awarded", "coalesce(sum(t.amount), 0)")):
        assert query(f"select c.name from loyalty_campaigns c where c.{column} <> ({awarded.format(total)})") == []
        part = {"users_awarded": "awarded", "total_points_awarded": "points"}[column]
        chunked = f"select coalesce(sum(k.{part}), 0) from loyalty_campaign_chunks k where k.campaign_id = c.id"
        assert query(f"select c.name from loyalty_campaigns c where c.{column} <> ({chunked})") == []
    twice = query(
        "select balance_id from loyalty_transactions where event_type = 'bonus'"
        " group by campaign_id, balance_id having count(*) > 1"
    )
    assert twice == []
