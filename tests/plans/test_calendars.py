"""Freeze calendars: when they hold, on whose clocks, which plans they keep back, and who may make them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.utils import timezone
from rest_framework.test import APIClient

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.errors import Denied
from opsconsole.journal.models import Entry
from opsconsole.plans import calendars, jobs
from opsconsole.plans.errors import CalendarEnded, CalendarInvalid, Frozen
from opsconsole.plans.models import Calendar, Plan, Run
from opsconsole.plans.services import control, decisions, execution, freezing, staging
from opsconsole.plans.services.freezing import CalendarDraft
from tests.api.unchanged import unchanged
from tests.plans.lamps import Lamps, approved, drafted, lamps, staged

__all__ = ["lamps"]

People = Callable[..., Actor]


@pytest.fixture
def ask(superuser: psycopg.Connection[Any]) -> Callable[[str], list[tuple[Any, ...]]]:
    """Run a query as someone who may read everything."""
    return lambda query: superuser.execute(query).fetchall()


MakeLamps = Callable[..., Lamps]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


def once(starts: datetime, ends: datetime, **facts: Any) -> Calendar:
    """A calendar that is nowhere stored."""
    return Calendar(name="once", reason="x", starts_at=starts, ends_at=ends, **facts)


def weekly(days: list[int], begin: str, end: str, zone: str = "UTC", **facts: Any) -> Calendar:
    """One that comes again."""
    facts = {"starts_at": datetime(2020, 1, 1, tzinfo=UTC)} | facts
    return Calendar(
        name="weekly", reason="x", weekdays=days, from_time=time.fromisoformat(begin),
        until_time=time.fromisoformat(end), time_zone=zone, **facts,
    )  # fmt: skip


def spans(calendar: Calendar, since: datetime, days: int) -> list[tuple[str, str]]:
    """The stretches as text."""
    found = calendars.stretches(calendar, since, since + timedelta(days=days))
    return [(f"{one.starts:%m-%d %H:%M}", f"{one.ends:%m-%d %H:%M}") for one in found]


class TestStretches:
    def test_once_holds_its_beginning_and_not_its_end(self) -> None:
        calendar = once(NOON, NOON + timedelta(hours=1))
        tick = timedelta(microseconds=1)
        assert [
            calendars.holds(calendar, at)
            for at in (NOON - tick, NOON, NOON + timedelta(hours=1) - tick, NOON + timedelta(hours=1))
        ] == [False, True, True, False]

    def test_weekly_on_its_days_on_the_clocks_of_its_zone(self) -> None:
        calendar = weekly([1, 3], "09:00", "11:30", "Europe/Paris")
        assert spans(calendar, NOON - timedelta(hours=12), 7) == [
            ("03-02 08:00", "03-02 10:30"),
            ("03-04 08:00", "03-04 10:30"),
        ]

    def test_one_that_is_not_later_ends_on_the_next_day(self) -> None:
        calendar = weekly([5], "18:00", "06:00", "Europe/Paris")
        friday = datetime(2026, 3, 6, 12, tzinfo=UTC)
        assert spans(calendar, friday, 3) == [("03-06 17:00", "03-07 05:00")]
        assert calendars.holds(calendar, datetime(2026, 3, 7, 4, 59, tzinfo=UTC))  # Saturday, before six in Paris
        assert not calendars.holds(calendar, datetime(2026, 3, 7, 5, tzinfo=UTC))
        assert spans(weekly([1], "00:00", "00:00"), NOON, 1) == [("03-02 00:00", "03-03 00:00")]

    def test_summer_time_moves_it_with_the_clocks(self) -> None:
        """Paris goes from +1 to +2 on 29 March 2026 and back on 25 October."""
        calendar = weekly([1], "09:00", "10:00", "Europe/Paris")
        assert spans(calendar, datetime(2026, 3, 22, tzinfo=UTC), 14) == [
            ("03-23 08:00", "03-23 09:00"),
            ("03-30 07:00", "03-30 08:00"),
        ]
        night = weekly([6], "22:00", "06:00", "Europe/Paris")
        (spring,) = calendars.stretches(night, datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC))
        (autumn,) = calendars.stretches(
            night, datetime(2026, 10, 24, 18, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)
        )
        assert (spring.ends - spring.starts, autumn.ends - autumn.starts) == (timedelta(hours=7), timedelta(hours=9))

    def test_what_is_in_doubt_is_frozen(self) -> None:
        """02:30 is not there on 29 March and there twice on 25 October."""
        gap = weekly([7], "02:30", "02:45", "Europe/Paris")
        assert spans(gap, datetime(2026, 3, 29, tzinfo=UTC), 1) == [("03-29 00:30", "03-29 01:45")]
        assert spans(gap, datetime(2026, 10, 25, tzinfo=UTC), 1) == [("10-25 00:30", "10-25 01:45")]

    def test_between_its_own_beginning_and_end(self) -> None:
        calendar = weekly(
            [1, 2, 3, 4, 5, 6, 7], "10:00", "14:00",
            starts_at=NOON, ends_at=NOON + timedelta(days=1, hours=-1),
        )  # fmt: skip
        assert spans(calendar, NOON - timedelta(days=2), 9) == [
            ("03-02 12:00", "03-02 14:00"),
            ("03-03 10:00", "03-03 11:00"),
        ]

    def test_one_that_was_ended_holds_no_more(self) -> None:
        calendar = once(NOON, NOON + timedelta(hours=4), ended_at=NOON + timedelta(hours=1))
        assert calendars.holds(calendar, NOON)
        assert not calendars.holds(calendar, NOON + timedelta(hours=1))

    @pytest.mark.parametrize("hours", range(0, 24, 5))
    def test_looked_at_from_any_moment_it_is_the_same(self, hours: int) -> None:
        calendar = weekly([1, 5, 7], "22:00", "03:00", "America/New_York")
        whole = {(one.starts, one.ends) for one in calendars.stretches(calendar, NOON, NOON + timedelta(days=21))}
        since = NOON + timedelta(days=3, hours=hours)
        part = {(one.starts, one.ends) for one in calendars.stretches(calendar, since, since + timedelta(days=7))}
        assert part == {one for one in whole if one[1] > since and one[0] < since + timedelta(days=7)}


def frozen(actor: Actor, **facts: Any) -> Calendar:
    """A calendar that holds for the next hour."""
    now = timezone.now()
    said = {"name": "Year end", "reason": "the books are closed", "ends_at": now + timedelta(hours=1)} | facts
    return freezing.create_calendar(draft=CalendarDraft(**said), actor=actor)


@pytest.mark.django_db(transaction=True)
class TestExecution:
    def test_a_plan_is_not_executed_and_the_refusal_says_until_when(
        self, lamps: MakeLamps, person: People, ask: Any
    ) -> None:
        lamps()
        plan = approved(person("ops"), person("pay_admin"))
        calendar = frozen(person("pay_admin"), plan_types=["lamps"])
        actor = person("finance_ops")
        with unchanged(ask), pytest.raises(Frozen, match="Year end") as refusal:
            execution.execute_plan(plan_id=plan.pk, actor=actor)
        assert refusal.value.fields["frozen_until"] == calendar.ends_at
        assert [one["id"] for one in refusal.value.fields["calendars"]] == [str(calendar.pk)]
        freezing.end_calendar(calendar_id=calendar.pk, reason="all clear", actor=person("pay_admin"))
        assert isinstance(execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops")), Run)

    def test_over_http_it_is_a_409_and_the_same_key_is_good_later(
        self, lamps: MakeLamps, person: People, api: Callable[..., APIClient]
    ) -> None:
        lamps()
        plan = approved(person("ops"), person("pay_admin"))
        calendar = frozen(person("pay_admin"))
        url = f"/api/ops/plans/{plan.pk}/execute"
        refused = api("finance_ops").post(url, headers={"Idempotency-Key": "k"})
        assert (refused.status_code, refused.json()["code"]) == (409, "frozen")
        assert refused.json()["frozen_until"].startswith(f"{calendar.ends_at:%Y-%m-%dT%H:%M}")
        freezing.end_calendar(calendar_id=calendar.pk, reason="all clear", actor=person("pay_admin"))
        assert api("finance_ops").post(url, headers={"Idempotency-Key": "k"}).status_code == 202

    def test_calendars_that_follow_one_another_are_one_freeze(self, lamps: MakeLamps, person: People) -> None:
        lamps()
        plan = approved(person("ops"), person("pay_admin"))
        first = frozen(person("pay_admin"))
        second = frozen(
            person("pay_admin"), name="Then", starts_at=first.ends_at, ends_at=first.ends_at + timedelta(hours=2)
        )
        freeze = calendars.freeze_of(plan, timezone.now())
        assert freeze is not None
        assert (freeze.calendars, freeze.until) == ((first,), second.ends_at)
        always = frozen(
            person("pay_admin"), name="Always", weekdays=[1, 2, 3, 4, 5, 6, 7], from_time=time(0), until_time=time(0),
            ends_at=None,
        )  # fmt: skip
        freeze = calendars.freeze_of(plan, timezone.now())
        assert freeze is not None
        assert freeze.until is None
        assert always in freeze.calendars

    @pytest.mark.parametrize(
        ("facts", "held"),
        [
            ({}, True),
            ({"plan_types": ["lamps", "payout_batch"]}, True),
            ({"plan_types": ["payout_batch"]}, False),
            ({"currencies": ["EUR"]}, False),
            ({"currencies": ["CHF", "USD"]}, True),
        ],
    )
    def test_only_plans_that_it_is_about(
        self, lamps: MakeLamps, person: People, facts: dict[str, Any], held: bool
    ) -> None:
        lamps()
        plan = approved(person("ops"), person("pay_admin"), payload={"lamps": ["red"], "currency": "CHF"})
        frozen(person("pay_admin"), **facts)
        assert (calendars.freeze_of(plan, timezone.now()) is not None) == held

    def test_a_run_that_goes_finishes_and_a_retry_waits(self, lamps: MakeLamps, person: People) -> None:
        plan_type = lamps()
        plan = approved(person("ops"), person("pay_admin"))
        run = execution.execute_plan(plan_id=plan.pk, actor=person("ops"))
        assert isinstance(run, Run)
        frozen(person("pay_admin"))
        jobs.execute_run(str(run.pk))
        run.refresh_from_db()
        assert (run.status, plan_type.lit) == ("succeeded", ["red", "green"])
        other = approved(person("ops"), person("pay_admin"), external_id="lamps-2")
        with pytest.raises(Frozen):
            execution.execute_plan(plan_id=other.pk, actor=person("ops"))
        # Undoing is never kept back.
        back = execution.roll_back_plan(plan_id=plan.pk, actor=person("ops"))
        jobs.execute_run(str(back.pk))
        assert plan_type.lit == []

    def test_a_retry_is_doing_too(self, lamps: MakeLamps, person: People) -> None:
        lamps()
        plan = approved(person("ops"), person("pay_admin"))
        run = execution.execute_plan(plan_id=plan.pk, actor=person("ops"))
        control.cancel_run(plan_id=plan.pk, run_id=run.pk, reason="", actor=person("ops"))
        calendar = frozen(person("pay_admin"))
        with pytest.raises(Frozen):
            execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=person("ops"))
        freezing.end_calendar(calendar_id=calendar.pk, reason="over", actor=person("pay_admin"))
        assert execution.retry_run(plan_id=plan.pk, run_id=run.pk, actor=person("ops")).status == "queued"

    def test_the_impact_warns_where_the_window_meets_a_calendar(self, lamps: MakeLamps, person: People) -> None:
        lamps()
        now = timezone.now()
        frozen(person("pay_admin"), starts_at=now + timedelta(hours=5), ends_at=now + timedelta(hours=6))

        def warned(**window: Any) -> list[str]:
            plan = drafted(person("ops"), external_id=f"lamps-{len(window)}-{Plan.objects.count()}", **window)
            plan = staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
            assert plan.estimated_impact is not None
            return [one["code"] for one in plan.estimated_impact["warnings"]]

        assert warned() == ["calendar"]  # no window: as long as its approvals live
        assert warned(not_after=now + timedelta(hours=4)) == []
        assert warned(not_before=now + timedelta(hours=6)) == []
        assert warned(not_before=now + timedelta(hours=4), not_after=now + timedelta(hours=7)) == ["calendar"]


@pytest.mark.django_db(transaction=True)
class TestMaking:
    def test_it_is_journalled_and_told(self, person: People) -> None:
        calendar = frozen(person("pay_admin"), plan_types=["payout_batch"])
        freezing.end_calendar(calendar_id=calendar.pk, reason="all clear", actor=person("pay_admin"))
        entries = [entry.content for entry in Entry.objects.filter(subject_kind="ops_calendars").order_by("seq")]
        assert [entry["verb"] for entry in entries] == ["calendar.created", "calendar.ended"]
        assert [entry["reason"] for entry in entries] == ["the books are closed", "all clear"]
        assert entries[0]["after"]["plan_types"] == ["payout_batch"]
        with pytest.raises(CalendarEnded):
            freezing.end_calendar(calendar_id=calendar.pk, reason="again", actor=person("pay_admin"))

    @pytest.mark.parametrize("who", ["finance_ops", "ops", "auditor", "dev"])
    def test_nobody_but_a_pay_admin(self, person: People, ask: Any, who: str) -> None:
        calendar = frozen(person("pay_admin"))
        actor = person(who)
        with unchanged(ask):
            with pytest.raises(Denied):
                frozen(actor)
            with pytest.raises(Exception, match="lacks|no such"):
                freezing.end_calendar(calendar_id=calendar.pk, reason="x", actor=actor)
            with pytest.raises(Denied):
                frozen(SYSTEM("sweeper"))

    @pytest.mark.parametrize(
        ("facts", "field"),
        [
            ({"name": " "}, "name"),
            ({"reason": ""}, "reason"),
            ({"plan_types": ["teleport"]}, "plan_types"),
            ({"banks": ["nowhere"]}, "banks"),
            ({"currencies": ["eur"]}, "currencies"),
            ({"time_zone": "Mars/Olympus"}, "time_zone"),
            ({"weekdays": [0], "from_time": time(1), "until_time": time(2)}, "weekdays"),
            ({"weekdays": [1]}, "from_time"),
            ({"from_time": time(1), "until_time": time(2)}, "weekdays"),
            ({"ends_at": None}, "ends_at"),
            ({"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "ends_at"),
            ({"starts_at": datetime(2999, 1, 1, tzinfo=UTC)}, "ends_at"),
        ],
    )
    def test_one_that_does_not_hold_together(self, person: People, facts: dict[str, Any], field: str) -> None:
        with pytest.raises(CalendarInvalid) as refusal:
            frozen(person("pay_admin"), **facts)
        assert field in refusal.value.fields["errors"]
        assert not Calendar.objects.exists()

    def test_what_it_says_stands(
        self, person: People, connect_as: Callable[[str], psycopg.Connection[Any]], superuser: Any
    ) -> None:
        calendar = frozen(person("pay_admin"))
        operator = connect_as(settings.DB_OPERATOR_ROLE)
        with pytest.raises(psycopg.errors.CheckViolation, match="never changed"):
            operator.execute("update ops_calendars set starts_at = now() + interval '1 day'")
        operator.execute("update ops_calendars set ended_at = now(), ended_by = 'me'")
        entry = Entry.objects.filter(subject_kind="ops_calendars", subject_id=str(calendar.pk)).latest("seq")
        assert entry.verb == "direct_sql"
        with pytest.raises(psycopg.errors.CheckViolation, match="stays ended"):
            operator.execute("update ops_calendars set ended_at = null")

    def test_by_the_api(self, api: Callable[..., APIClient]) -> None:
        url = "/api/ops/calendars"
        body = {
            "name": "Weekend", "reason": "nobody watches", "planTypes": ["payout_batch"], "timeZone": "Europe/Paris",
            "weekdays": [6, 7], "fromTime": "00:00", "untilTime": "00:00",
        }  # fmt: skip
        made = api("pay_admin").post(url, body)
        assert made.status_code == 201, made.json()
        assert made.json()["weekdays"] == [6, 7]
        assert made.json()["next_from"] < made.json()["next_until"]
        assert api("ops").post(url, body).status_code == 403
        assert api("pay_admin").post(url, {**body, "colour": "red"}).status_code == 400
        assert [row["name"] for row in api("auditor").get(f"{url}?in_force=true").json()["results"]] == ["Weekend"]
        assert api("auditor").get(f"{url}?colour=red").status_code == 400
        end = f"{url}/{made.json()['id']}/end"
        assert api("auditor").post(end, {"reason": "x"}).status_code == 403
        assert api("pay_admin").post(end, {}).status_code == 400
        assert api("pay_admin").post(end, {"reason": "over"}).json()["ended_by"] == "pay_admin"
        assert api("auditor").get(f"{url}?in_force=true").json()["results"] == []


def test_a_staged_plan_is_not_drifted_by_a_new_calendar(lamps: MakeLamps, person: People) -> None:
    lamps()
    plan = staged(person("ops"))
    calendar = frozen(person("pay_admin"))
    freezing.end_calendar(calendar_id=calendar.pk, reason="over", actor=person("pay_admin"))
    decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=person("pay_admin"))
    assert isinstance(execution.execute_plan(plan_id=plan.pk, actor=person("ops")), Run)
