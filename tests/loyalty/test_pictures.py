"""What people look at in loyalty says what the ledger says, by arithmetic of the test's own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from loyalty import flows, lives
from loyalty.admin.campaign_checklists import BY_HAND
from loyalty.campaigns.checklist import checklists
from loyalty.errors import CampaignNotFound
from loyalty.flows import Period
from loyalty.models import Balance, BudgetAlert, Campaign, Program, Transaction
from loyalty.services import budgets, campaigns, expiry, launches, members, points, programs
from loyalty.states import BudgetAlertState, CampaignState
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import OutboxEvent
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from tests.loyalty.history import happened

pytestmark = pytest.mark.django_db(transaction=True)

TESTER = SYSTEM("test")
LONG_AGO = datetime(1997, 1, 5, 12, tzinfo=UTC)


def url_of(row: Any, name: str = "change") -> str:
    return reverse(f"admin:loyalty_{row._meta.model_name}_{name}", args=[str(row.pk)])


def seen(client: Client, url: str) -> Any:
    answer = client.get(url)
    assert answer.status_code == 200, (url, answer.status_code)
    return answer


def section(answer: Any, template: str) -> Any:
    (found,) = [one for one in answer.context["sections"] if one.template == template]
    return found


def press(client: Client, row: Any, name: str, **said: str) -> Any:
    url = url_of(row, name)
    key = client.get(url).context["form"].initial["key"]
    return client.post(url, {"key": str(key), "reason": "because", **said}, follow=True)


def a_year_of(balance: Balance, *, seed: int) -> None:
    """Movements of every kind on days of the last year, and some of 1997."""
    chance, now = random.Random(seed), timezone.now()  # noqa: S311 - no secret
    rows = [
        (balance.pk, "earn", chance.randint(1, 900), now - timedelta(days=chance.randint(0, 364)), None)
        for _ in range(60)
    ]
    rows += [(balance.pk, "earn", 10, LONG_AGO + timedelta(days=31 * number), None) for number in range(18)]
    rows += [
        (balance.pk, "redeem", -chance.randint(1, 50), now - timedelta(days=chance.randint(0, 364)), None)
        for _ in range(20)
    ]
    happened(rows)


def test_bars_of_every_period_add_up_to_the_ledger(
    program: Program, member: Callable[..., Balance], marketing: Actor
) -> None:
    alice, today = member("alice", 500), datetime.now(tz=UTC).date()
    a_year_of(alice, seed=7)
    points.adjust_points(balance_id=alice.pk, amount=40, reason="lost", actor=marketing)
    points.adjust_points(balance_id=alice.pk, amount=-30, reason="twice", actor=marketing)
    redeemed = Transaction.objects.filter(event_type="redeem").first()
    earned = Transaction.objects.filter(event_type="earn", amount=500).get()
    assert redeemed is not None
    points.reverse_transaction(transaction_id=redeemed.pk, reason="sent back", actor=marketing)
    points.reverse_transaction(transaction_id=earned.pk, points=100, reason="sent back", actor=marketing)
    # Another program's points are none of this one's.
    other = programs.create_program(name="Other", budget_limit=Decimal(1000), actor=marketing)
    points.earn_points(program_id=other.pk, user_id="bob", points=77, actor=marketing)
    rows = list(Transaction.objects.filter(balance=alice).values_list("created_at", "event_type", "amount"))
    for period in Period:
        found = flows.flow(program.pk, period, today=today)
        first = found.bars[0].day
        within = [(at.date(), event, amount) for at, event, amount in rows if at.date() >= first]
        awarded = sum(amount for _day, event, amount in within if event in ("earn", "bonus"))
        awarded += sum(amount for _day, event, amount in within if event == "adjust" and amount > 0)
        awarded += sum(amount for _day, event, amount in within if event == "reverse" and amount < 0)
        assert sum(bar.awarded for bar in found.bars) == awarded
        assert sum(bar.awarded - bar.gone for bar in found.bars) == sum(amount for _day, _event, amount in within)
        assert found.sampled == 0
        days = [bar.day for bar in found.bars]
        assert days == sorted(set(days))
    program.refresh_from_db()
    everything = flows.flow(program.pk, Period.ALL, today=today)
    assert sum(bar.awarded for bar in everything.bars) == program.budget_spent
    assert everything.bars[0].day == date(1997, 1, 1)
    # Nobody wants to look at the empty months of twenty-seven years.
    assert everything.gaps
    assert {bar.day for bar in everything.bars} == {at.date().replace(day=1) for at, _event, _amount in rows}
    month = flows.flow(program.pk, Period.MONTH, today=today)
    week = [amount for at, _event, amount in rows if amount > 0 and _event in ("earn", "adjust") and _within(at, today)]
    taken = [amount for at, event, amount in rows if event == "reverse" and amount < 0 and _within(at, today)]
    assert month.rates[-1] == pytest.approx((sum(week) + sum(taken)) / 7)
    assert len(month.rates) == len(month.bars) == 30


def _within(at: datetime, today: date) -> bool:
    return today - timedelta(days=6) <= at.date() <= today


def test_old_points_are_what_the_page_shows_first(
    program: Program, browse: Callable[..., Client], marketing: Actor
) -> None:
    today, auditor = datetime.now(tz=UTC).date(), browse("auditor")
    assert flows.last_with_something(program.pk, today=today) is Period.ALL
    assert "Nothing in these days." in seen(auditor, url_of(program)).content.decode()
    old = Balance.objects.create(program=program, user_id="old")
    happened([(old.pk, "earn", 25, LONG_AGO, None)])
    assert flows.last_with_something(program.pk, today=today) is Period.ALL
    page = seen(auditor, url_of(program))
    assert section(page, "console/sections/chart.html").context["rows"] == [("Jan 1997", ["25", "0"])]
    assert "Nothing in these days." in seen(auditor, f"{url_of(program)}?period=30d").content.decode()
    happened([(old.pk, "earn", 5, timezone.now() - timedelta(days=80), None)])
    assert flows.last_with_something(program.pk, today=today) is Period.QUARTER


def test_what_takes_too_long_is_estimated_and_said_to_be(
    program: Program, member: Callable[..., Balance], monkeypatch: pytest.MonkeyPatch, browse: Callable[..., Client]
) -> None:
    alice, today = member("alice", 500), datetime.now(tz=UTC).date()
    a_year_of(alice, seed=8)
    exact = flows.flow(program.pk, Period.ALL, today=today)
    monkeypatch.setattr(flows, "PATIENCE", timedelta(milliseconds=30))
    with connection.cursor() as cursor:
        with pytest.raises(flows.TooMuch), flows.quickly():
            cursor.execute("select pg_sleep(5)")
        cursor.execute("show statement_timeout")
        assert cursor.fetchone()[0] == "0"

    @contextmanager
    def never() -> Iterator[None]:
        raise flows.TooMuch("too much")
        yield

    monkeypatch.setattr(flows, "quickly", never)
    # The sample is as large as this ledger: nothing is left to guess.
    guessed = flows.flow(program.pk, Period.ALL, today=today)
    assert guessed.sampled == Transaction.objects.count()
    assert guessed.bars == exact.bars
    page = seen(browse("auditor"), url_of(program)).content.decode()
    assert "Estimated from" in page


def test_the_budget_as_a_picture(
    program: Program, member: Callable[..., Balance], browse: Callable[..., Client]
) -> None:
    member("alice", 930_000)
    program.refresh_from_db()
    page = seen(browse("finance_ops"), url_of(program))
    shown = section(page, "console/loyalty/budget.html").context
    assert [one[2:] for one in shown["legend"]] == [("930,000", "93.0 %"), ("0", "0.0 %"), ("70,000", "7.0 %")]
    assert shown["mark"] == 90
    (matrix,) = [one for one in page.context["sections"] if one.title == "What to do, by what is left"]
    assert ["now" in str(row[2]) for row in matrix.rows] == [False, True, False]


def test_an_alert_is_taken_in_hand(
    program: Program, member: Callable[..., Balance], browse: Callable[..., Client]
) -> None:
    member("alice", 930_000)
    (alert,) = budgets.watch_budgets(actor=TESTER)
    auditor = browse("auditor")
    listed = seen(auditor, reverse("admin:loyalty_budgetalert_changelist")).content.decode()
    assert program.name in listed
    assert "93.0 %" in listed
    assert url_of(alert, "acknowledge") not in seen(auditor, url_of(alert)).content.decode()
    assert auditor.post(url_of(alert, "acknowledge"), {"reason": "x"}).status_code == 403
    assert BudgetAlert.objects.get().status == BudgetAlertState.OPEN
    assert "The alert is acknowledged." in press(browse("finance_ops"), alert, "acknowledge").content.decode()
    alert.refresh_from_db()
    assert (alert.status, alert.note) == (BudgetAlertState.ACKNOWLEDGED, "because")
    assert program.name in seen(auditor, url_of(alert)).content.decode()


def test_the_calendar_of_what_expires(program: Program, browse: Callable[..., Client]) -> None:
    Program.objects.filter(pk=program.pk).update(points_valid_months=12)
    program.refresh_from_db()
    now = timezone.now()
    wanted: dict[date, int] = {}
    for number in range(6):
        one = Balance.objects.create(program=program, user_id=f"m{number}")
        at = now - relativedelta(months=2 * number)
        happened([(one.pk, "earn", 100 + number, at, None)])
        wanted[(at + relativedelta(months=12)).date().replace(day=1)] = 100 + number
    gone = Balance.objects.create(program=program, user_id="gone")
    happened([(gone.pk, "earn", 50, now - relativedelta(months=15), None)])
    marketing = browse("ops_marketing")
    address = reverse("admin:loyalty_program_liability")
    assert "has not been added up yet" in seen(marketing, address).content.decode()
    page = seen(marketing, f"{address}?program={program.pk}")
    found = section(page, "console/loyalty/months.html").context
    assert _calendar(found) == {f"{day:%Y-%B}": f"{value}" for day, value in wanted.items()}
    assert [value for _name, value in found["figures"]][:2] == [str(sum(wanted.values()) + 50), "50"]
    preview = section(page, "console/sections/figures.html")
    assert [value for _name, value, _url in preview.figures] == ["50", "1", "0", "0"]
    ahead = f"{now + relativedelta(months=13):%Y-%m-%d}"
    everything = seen(marketing, f"{address}?program={program.pk}&as_of={ahead}").content.decode()
    assert str(sum(wanted.values()) + 50) in everything
    expiry.expire_points(program_id=program.pk, actor=TESTER)
    stored = section(seen(marketing, address), "console/loyalty/months.html").context
    assert _calendar(stored) == _calendar(found)
    assert stored["figures"][1][1] == "0"
    assert browse("dev").get(address).status_code == 403
    assert Transaction.objects.filter(event_type="expire").count() == 1


def _calendar(context: dict[str, Any]) -> dict[str, str]:
    return {f"{year}-{tile.name}": tile.points for year, tiles in context["years"] for tile in tiles if tile.points}


@pytest.fixture
def running(program: Program, member: Callable[..., Balance], marketing: Actor, finance: Actor) -> Campaign:
    """A campaign that was launched and has awarded nobody yet: 40 points are reserved."""
    for number in range(4):
        member(f"m{number}", 100)
    campaign = campaigns.create_campaign(
        program_id=program.pk, name="Spring", bonus_points=10, start_date=timezone.now(), actor=marketing
    )
    campaigns.preview_campaign(campaign_id=campaign.pk, actor=marketing)
    asked = launches.schedule_campaign(campaign_id=campaign.pk, actor=marketing)
    decide_request(request_id=asked.request.pk, approved=True, comments="", signature="", actor=finance)
    launches.launch_campaign(campaign_id=campaign.pk, actor=TESTER)
    campaign.refresh_from_db()
    return campaign


def test_a_campaign_is_marked_as_failed(
    running: Campaign, program: Program, marketing: Actor, finance: Actor, auditor: Actor, person: Callable[..., Actor]
) -> None:
    program.refresh_from_db()
    assert program.budget_reserved == running.points_reserved == 40
    before = Entry.objects.count()
    for outsider, refusal in ((auditor, Denied), (person("dev"), CampaignNotFound)):
        with pytest.raises(refusal):
            campaigns.mark_campaign_failed(campaign_id=running.pk, reason="stuck", actor=outsider)
    running.refresh_from_db()
    assert (running.status, Entry.objects.count()) == (CampaignState.RUNNING, before)
    failed = campaigns.mark_campaign_failed(campaign_id=running.pk, reason="stuck for hours", actor=finance)
    assert (failed.status, failed.failure, failed.points_reserved) == (CampaignState.FAILED, "stuck for hours", 0)
    program.refresh_from_db()
    assert program.budget_reserved == 0
    entry = Entry.objects.filter(verb="campaign.failed").get()
    assert entry.content["reason"] == "stuck for hours"
    assert entry.content["after"]["points_released"] == 40
    assert OutboxEvent.objects.filter(topic="campaign.failed").count() == 1
    assert not Transaction.objects.filter(campaign_id=running.pk).exists()
    with pytest.raises(WrongState):
        campaigns.mark_campaign_failed(campaign_id=running.pk, reason="again", actor=finance)
    draft = campaigns.create_campaign(
        program_id=program.pk, name="Draft", bonus_points=1, start_date=timezone.now(), actor=marketing
    )
    with pytest.raises(WrongState):
        campaigns.mark_campaign_failed(campaign_id=draft.pk, reason="never began", actor=finance)


def test_the_checklists_stand_on_the_page(running: Campaign, browse: Callable[..., Client]) -> None:
    page = seen(browse("auditor"), url_of(running))
    lists = section(page, "console/loyalty/checklists.html").context["lists"]
    wanted = checklists(running)
    assert [[str(line.label) for line in one.lines] for one in lists] == [
        [str(item.label) for item in one.items] for one in wanted
    ]
    words = {True: "in order", False: "not in order", None: "not yet"}
    for shown, one in zip(lists, wanted, strict=True):
        assert [str(line.standing).split(">")[1].split("<")[0] for line in shown.lines] == [
            words[item.holds] for item in one.items
        ]
    assert [one.is_open for one in lists] == [False, True, False]
    assert page.content.decode().count("data-tick") == sum(len(by_hand) for by_hand in BY_HAND.values())


def test_a_members_life_in_one_order(
    program: Program, member: Callable[..., Balance], browse: Callable[..., Client], marketing: Actor, finance: Actor
) -> None:
    alice = member("alice", 500)
    now = timezone.now()
    happened([(alice.pk, "earn", number + 1, now - timedelta(days=9 * number), None) for number in range(24)])
    happened([(alice.pk, "redeem", -5, now - timedelta(days=30), None)])
    members.freeze_members(balance_ids=[alice.pk], reason="fraud alert", actor=finance)
    points.adjust_points(balance_id=alice.pk, amount=5, reason="lost", actor=marketing)
    auditor, times, kinds = browse("auditor"), [], set()
    for page in range(1, 10):
        shown = section(seen(auditor, f"{url_of(alice)}?happened={page}"), "console/loyalty/life.html").context
        times += [one.at for one in shown["happenings"]]
        kinds |= {one.icon for one in shown["happenings"]}
        if not shown["older"]:
            break
    assert times == sorted(times, reverse=True)
    # Every movement once, and the freeze; the adjustment is a movement.
    assert len(times) == Transaction.objects.filter(balance=alice).count() + 1
    assert {"add_circle", "shopping_bag", "tune", "history"} <= kinds
    odd = seen(auditor, f"{url_of(alice)}?happened=x")
    assert section(odd, "console/loyalty/life.html").context["page"] == 1


def test_the_balance_over_time(program: Program, member: Callable[..., Balance]) -> None:
    alice = member("alice", 500)
    a_year_of(alice, seed=10)
    line = lives.balance_of(alice)
    alice.refresh_from_db()
    assert line.points[-1].balance == alice.points_balance
    assert (line.step, line.points[0].day) == ("month", date(1997, 1, 1))
    rows = list(Transaction.objects.filter(balance=alice).values_list("created_at", "amount"))
    for point in line.points:
        end = point.day + relativedelta(months=1)
        assert point.balance == sum(amount for at, amount in rows if at.date() < end)
    nobody = Balance.objects.create(program=program, user_id="nobody")
    assert lives.balance_of(nobody).points == []


def test_loyalty_on_the_front_page(
    running: Campaign, program: Program, member: Callable[..., Balance], browse: Callable[..., Client]
) -> None:
    member("rich", 910_000)
    budgets.watch_budgets(actor=TESTER)
    page = seen(browse("ops_marketing"), reverse("admin:index"))
    (card,) = [one for one in page.context["sections"] if one.title == "Loyalty"]
    found = {str(name): (value, url) for name, value, url in card.figures}
    assert found["programs at 90 percent of their budget, or over"] == ("1", url_of(program))
    assert found["campaigns running"][0] == "1"
    assert found["campaigns stuck"] == ("0", "")
    assert found["launches that wait for approval"][0] == "0"
    assert "budget that runs out" in page.content.decode()
    for outsider in ("dev", "pay_admin"):
        shown = seen(browse(outsider), reverse("admin:index"))
        assert not [one for one in shown.context["sections"] if one.title == "Loyalty"]
        assert "budget that runs out" not in shown.content.decode()
