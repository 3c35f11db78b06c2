"""Break-glass: one person executes, everybody hears of it, two others review it; and reviews that a policy asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.utils import timezone
from rest_framework.test import APIClient

from opsconsole.approvals import jobs as approval_jobs
from opsconsole.approvals import selectors, services
from opsconsole.approvals.errors import AlreadyReviewed, NotAReviewer, ReasonMissing, ReviewEnded
from opsconsole.approvals.kernel import active_policy
from opsconsole.approvals.models import Request, Review, ReviewAnswer
from opsconsole.approvals.states import ReviewVerdict
from opsconsole.core.actors import SYSTEM, Actor, shell_actor
from opsconsole.core.errors import Denied, NotFound
from opsconsole.core.metrics import registered
from opsconsole.core.models import OutboxEvent
from opsconsole.core.states import WrongState
from opsconsole.journal.models import Entry
from opsconsole.plans import jobs
from opsconsole.plans.errors import GlassForbidden, GlassNotNeeded, OutsideWindow, PlanInvalid
from opsconsole.plans.models import BreakGlass, Plan, Run
from opsconsole.plans.services import execution, staging
from opsconsole.plans.services.break_glass import break_glass
from opsconsole.plans.starting import Drifted
from opsconsole.plans.types import registered as plan_types
from tests.api.test_idempotency import at_once
from tests.api.unchanged import unchanged
from tests.plans.lamps import Lamps, approved, drafted, lamps, staged
from tests.plans.test_calendars import ask, frozen
from tests.plans.test_races import outcome
from tests.world import World

__all__ = ["ask", "lamps"]

pytestmark = pytest.mark.django_db(transaction=True)
People = Callable[..., Actor]
MakeLamps = Callable[..., Lamps]
APPROVE, OBJECT = ReviewVerdict.APPROVE, ReviewVerdict.OBJECT


def smash(plan: Plan, actor: Actor, incident: str = "INC-7", reason: str = "the house is dark") -> Any:
    """Break the glass for a plan."""
    return break_glass(plan_id=plan.pk, incident=incident, reason=reason, actor=actor)


def answer(review: Review, actor: Actor, verdict: ReviewVerdict = APPROVE, comment: str = "looked at it") -> Review:
    """Answer a review."""
    return services.answer_review(review_id=review.pk, verdict=verdict, comment=comment, actor=actor)


def fact(name: str) -> Any:
    """What a metric says now."""
    (found,) = [one for one in registered() if one.name == name]
    return dict(found.samples())


def make_late(review: Review, superuser: psycopg.Connection[Any]) -> None:
    """Put the end of its day into the past."""
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update approvals_reviews set due_at = now() - interval '1 second'")
    superuser.execute("set session_replication_role = origin")


class TestBreaking:
    def test_one_person_executes_what_is_staged(self, lamps: MakeLamps, person: People) -> None:
        plan_type = lamps()
        plan = staged(person("ops"))
        run = smash(plan, person("ops"))
        jobs.execute_run(str(run.pk))
        plan.refresh_from_db()
        assert (plan.status, plan_type.lit) == ("succeeded", ["red", "green"])
        assert Request.objects.get().status == "void"
        broken = BreakGlass.objects.get()
        assert (broken.run_id, broken.without_quorum, broken.calendars) == (run.pk, True, [])
        assert (broken.digest, broken.broken_by) == (plan.digest, person("ops").user)
        entry = Entry.objects.get(verb="plan.glass_broken").content
        assert (entry["before"]["status"], entry["after"]["status"]) == ("staged", "executing")
        assert (entry["after"]["incident"], entry["reason"]) == ("INC-7", "the house is dark")
        assert entry["actor"]["name"] == "ops"

    def test_everybody_hears_of_it_at_once(self, lamps: MakeLamps, person: People) -> None:
        lamps()
        run = smash(staged(person("ops")), person("ops"))
        event = OutboxEvent.objects.get(topic="plan.break_glass")
        assert event.data["urgency"] == "critical"
        assert {"incident": "INC-7", "by": "ops", "run": str(run.pk)}.items() <= event.data.items()
        assert OutboxEvent.objects.filter(topic="review.opened").count() == 1

    def test_what_was_done_can_be_retried_and_undone(self, lamps: MakeLamps, person: People) -> None:
        plan_type = lamps()
        plan = staged(person("ops"))
        jobs.execute_run(str(smash(plan, person("ops")).pk))
        back = execution.roll_back_plan(plan_id=plan.pk, actor=person("finance_ops"))
        assert isinstance(back, Run)
        jobs.execute_run(str(back.pk))
        assert plan_type.lit == []

    def test_through_a_calendar(self, lamps: MakeLamps, person: People) -> None:
        lamps()
        plan = approved(person("ops"), person("pay_admin"))
        calendar = frozen(person("pay_admin"))
        assert isinstance(smash(plan, person("ops")), Run)
        assert BreakGlass.objects.get().calendars == [{"id": str(calendar.pk), "name": "Year end"}]
        assert not BreakGlass.objects.get().without_quorum
        assert Request.objects.get().status == "consumed"

    def test_not_where_nothing_stands_in_the_way(self, lamps: MakeLamps, person: People, ask: Any) -> None:
        lamps()
        plan = approved(person("ops"), person("pay_admin"))
        with unchanged(ask), pytest.raises(GlassNotNeeded):
            smash(plan, person("ops"))

    @pytest.mark.parametrize("who", ["finance_ops", "auditor", "dev"])
    def test_only_by_those_who_may(self, lamps: MakeLamps, person: People, ask: Any, who: str) -> None:
        lamps()
        plan, actor = staged(person("ops")), person(who)
        with unchanged(ask), pytest.raises((Denied, NotFound)):
            smash(plan, actor)

    def test_by_a_person_with_a_name(self, lamps: MakeLamps, person: People, ask: Any) -> None:
        lamps()
        plan = staged(person("ops"))
        for actor in (SYSTEM("sweeper"), shell_actor()):
            with unchanged(ask), pytest.raises((Denied, NotFound)):
                smash(plan, actor)

    @pytest.mark.parametrize(("incident", "reason"), [(" ", "why"), ("INC-7", ""), ("", "")])
    def test_never_without_incident_and_reason(
        self, lamps: MakeLamps, person: People, ask: Any, incident: str, reason: str
    ) -> None:
        lamps()
        plan, actor = staged(person("ops")), person("ops")
        with unchanged(ask), pytest.raises(PlanInvalid):
            smash(plan, actor, incident, reason)

    def test_never_for_what_moves_money(
        self, draft: Callable[..., Plan], world: World, person: People, ask: Any
    ) -> None:
        plan = draft(total="500")
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
        actor = person("pay_admin")
        with unchanged(ask), pytest.raises(GlassForbidden):
            smash(plan, actor)
        assert {kind.name: kind.break_glass for kind in plan_types()} == {
            "payout_batch": False, "sweep": False, "failover": True, "freeze": True, "pause_bank": True,
        }  # fmt: skip

    def test_a_draft_and_a_closed_window_stay_as_they_are(self, lamps: MakeLamps, person: People, ask: Any) -> None:
        lamps()
        ahead = timezone.now() + timedelta(hours=1)
        early, draft = staged(person("ops"), not_before=ahead), drafted(person("ops"), external_id="lamps-2")
        actor = person("ops")
        with unchanged(ask), pytest.raises(OutsideWindow):
            smash(early, actor)
        with unchanged(ask), pytest.raises(WrongState):
            smash(draft, actor)

    def test_what_drifted_is_not_executed(self, lamps: MakeLamps, person: People) -> None:
        plan_type = lamps()
        plan = staged(person("ops"))
        plan_type.drifted = ["a lamp was taken away"]
        found = smash(plan, person("ops"))
        assert isinstance(found, Drifted)
        assert not Run.objects.exists()
        assert not Review.objects.exists()

    def test_many_at_once_are_one(self, lamps: MakeLamps, person: People) -> None:
        lamps()
        plan = staged(person("ops"))
        people = [person("ops"), person("pay_admin")] * 3
        told = Counter(at_once(*(outcome(lambda actor=actor: smash(plan, actor)) for actor in people)))
        assert told == {"done": 1, "wrong_state": 5}
        assert (Run.objects.count(), BreakGlass.objects.count(), Review.objects.count()) == (1, 1, 1)

    def test_by_the_api(self, lamps: MakeLamps, person: People, api: Callable[..., APIClient]) -> None:
        lamps()
        plan = staged(person("ops"))
        url, body = f"/api/ops/plans/{plan.pk}/break-glass", {"incident": "INC-7", "reason": "dark"}
        assert api("ops").post(url, body).json()["code"] == "idempotency_key_missing"
        assert api("ops").post(url, {**body, "who": "me"}, headers={"Idempotency-Key": "a"}).status_code == 400
        first = api("ops").post(url, body, headers={"Idempotency-Key": "k"})
        again = api("ops").post(url, body, headers={"Idempotency-Key": "k"})
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json() == again.json()
        (review,) = api("pay_admin").get("/api/ops/reviews?mine=true").json()["results"]
        assert (review["cause"], review["facts"]["incident"], review["status"]) == ("break_glass", "INC-7", "open")
        assert api("ops").get("/api/ops/reviews?mine=true").json()["results"] == []
        assert api("ops").get("/api/ops/reviews?colour=red").status_code == 400
        door = f"/api/ops/reviews/{review['id']}/review"
        said = {"verdict": "approve", "comment": "it was dark"}
        assert api("ops").post(door, said).json()["code"] == "not_a_reviewer"
        assert api("auditor").post(door, said).status_code == 403
        assert api("dev").post(door, said).status_code == 404
        assert api("pay_admin").post(door, {"verdict": "maybe", "comment": "x"}).status_code == 400
        assert api("pay_admin").post(door, said).json()["status"] == "open"
        assert api("pay_admin").post(door, said).json()["code"] == "already_reviewed"
        done = api("finance_ops").post(door, said).json()
        assert (done["status"], [one["user"] for one in done["answers"]]) == ("reviewed", ["pay_admin", "finance_ops"])


@pytest.fixture
def review(lamps: MakeLamps, person: People) -> Review:
    """A review of what ops did alone."""
    lamps()
    smash(staged(person("ops")), person("ops"))
    return Review.objects.get()


class TestReview:
    def test_two_people_who_had_no_part(self, review: Review, person: People, ask: Any) -> None:
        breaker, stranger = person("ops"), person("dev")
        for actor in (breaker, stranger, person("auditor")):
            with unchanged(ask), pytest.raises((NotAReviewer, NotFound, Denied)):
                answer(review, actor)
        first, second = person("pay_admin"), person("finance_ops")
        assert answer(review, first).status == "open"
        with unchanged(ask), pytest.raises(AlreadyReviewed):
            answer(review, first)
        with unchanged(ask), pytest.raises(ReasonMissing):
            answer(review, second, comment="  ")
        assert answer(review, second).status == "reviewed"
        review.refresh_from_db()
        assert review.ended_at is not None
        third = person("ops2", "ops")
        with unchanged(ask), pytest.raises(ReviewEnded):
            answer(review, third)
        assert OutboxEvent.objects.filter(topic="review.reviewed").count() == 1
        assert Entry.objects.filter(verb="review.answered").count() == 2

    def test_one_objection_ends_it(self, review: Review, person: People) -> None:
        assert answer(review, person("pay_admin"), OBJECT, "nothing was dark").status == "objected"
        assert OutboxEvent.objects.get(topic="review.objected").data["comment"] == "nothing was dark"

    def test_one_person_many_times_at_once_is_one_answer(self, review: Review, person: People) -> None:
        actor = person("pay_admin")
        told = Counter(at_once(*[outcome(lambda: answer(review, actor))] * 5))
        assert told == {"done": 1, "already_reviewed": 4}
        assert ReviewAnswer.objects.count() == 1

    def test_the_last_two_at_once_end_it_once(self, review: Review, person: People) -> None:
        people = [person(f"p{n}", "pay_admin") for n in range(4)]
        told = Counter(at_once(*(outcome(lambda actor=actor: answer(review, actor)) for actor in people)))
        assert told == {"done": 2, "review_ended": 2}

    def test_one_that_is_late_is_nagged_about_and_can_still_be_answered(
        self, review: Review, person: People, superuser: psycopg.Connection[Any]
    ) -> None:
        assert fact("ops_break_glass_reviews_overdue") == {(): 0.0}
        assert approval_jobs.note_overdue_reviews() == 0
        make_late(review, superuser)
        assert fact("ops_break_glass_reviews_overdue") == {(): 1.0}
        assert approval_jobs.note_overdue_reviews() == 1
        assert approval_jobs.note_overdue_reviews() == 0
        assert fact("ops_reviews_waiting") == {("open",): 0.0, ("overdue",): 1.0}
        assert OutboxEvent.objects.filter(topic="break_glass.review_overdue").count() == 1
        assert Entry.objects.filter(verb="review.overdue").count() == 1
        assert list(selectors.answerable_by(Review.objects.all(), person("pay_admin"))) == [review]
        answer(review, person("pay_admin"))
        assert answer(review, person("finance_ops")).status == "reviewed"
        assert fact("ops_break_glass_reviews_overdue") == {(): 0.0}

    def test_nobody_rewrites_it(self, review: Review, connect_as: Any, superuser: psycopg.Connection[Any]) -> None:
        operator = connect_as(settings.DB_OPERATOR_ROLE)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            operator.execute("update approvals_reviews set status = 'reviewed'")
        for change in (
            "update approvals_reviews set due_at = now() + interval '1 year'",
            "delete from approvals_reviews",
            "update approvals_reviews set status = 'open', needed = 1",
            "update ops_break_glass set incident = 'none'",
            "delete from ops_break_glass",
        ):
            with pytest.raises(psycopg.errors.CheckViolation):
                superuser.execute(change)


class TestByPolicy:
    def test_a_review_is_opened_with_the_run(self, lamps: MakeLamps, person: People) -> None:
        lamps(reviewers=2)
        plan = approved(person("ops"), person("pay_admin"))
        assert not Review.objects.exists()
        execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
        review = Review.objects.get()
        assert (review.cause, review.needed, review.status) == ("policy", 2, "open")
        for part in ("ops", "pay_admin", "finance_ops"):
            with pytest.raises(NotAReviewer):
                answer(review, person(part))
        answer(review, person("ops2", "ops"))
        assert answer(review, person("pay_admin2", "pay_admin")).status == "reviewed"

    def test_the_default_policies_ask_for_it(self) -> None:
        assert {
            action: active_policy(action).reviewers
            for action in ("plan.freeze", "plan.pause_bank", "plan.failover", "plan.payout_batch", "plan.sweep")
        } == {"plan.freeze": 2, "plan.pause_bank": 2, "plan.failover": 0, "plan.payout_batch": 0, "plan.sweep": 0}

    def test_not_where_none_is_wanted(self, lamps: MakeLamps, person: People) -> None:
        lamps()
        plan = approved(person("ops"), person("pay_admin"))
        execution.execute_plan(plan_id=plan.pk, actor=person("finance_ops"))
        assert not Review.objects.exists()
