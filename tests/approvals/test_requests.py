"""The life of a request as its subject leads it: asked, kept, suspended, made void, used, and out of time."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from opsconsole.approvals import errors, jobs, kernel, selectors, services, subjects
from opsconsole.approvals.models import Decision, Request, SignerKey
from opsconsole.approvals.states import RequestState
from opsconsole.core.actors import SYSTEM, Actor, shell_actor
from opsconsole.core.errors import NotFound
from opsconsole.core.models import OutboxEvent, User
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from tests.approvals.conftest import (
    KIND,
    PAYOUT,
    SYSTEM_TEST,
    People,
    approve,
    ask,
    change,
    followed,
    let_time_pass,
    make_subject,
    pen_of,
    revoke,
    set_policy,
    take_role,
    use,
    verbs,
)

pytestmark = pytest.mark.django_db
Same = Callable[[], Any]


@operation
def suspend(*, request: Request, actor: Actor) -> list[Request]:
    return kernel.suspend(request.subject_kind, request.subject_id, reason="edited", actor=actor)


@operation
def void(*, request: Request, action: str | None = None, actor: Actor) -> list[Request]:
    return kernel.void(request.subject_kind, request.subject_id, reason="drifted", action=action, actor=actor)


@operation
def paste(*, request: Request, key: SignerKey, user: User, actor: Actor) -> None:
    """An approval as a program with the application's password would write it."""
    Decision.objects.create(
        request=request,
        user=user,
        kind="approve",
        digest=request.digest,
        signer_key=key,
        signature=base64.b64encode(bytes(64)).decode(),
    )


@pytest.fixture
def approved(request_: Request, person: People) -> Request:
    approve(request_, person("finance_ops"))
    return approve(request_, person("pay_admin"))


class TestOpen:
    def test_is_bound_to_content_policy_and_time(self, request_: Request, requester: Actor) -> None:
        request_.refresh_from_db()
        assert request_.status == "pending"
        assert request_.requested_by == requester.user
        assert request_.policy["required_approvals"] == 2
        assert (request_.expires_at - request_.created_at).total_seconds() == request_.policy["ttl_seconds"]
        entry = Entry.objects.get(subject_id=request_.subject_id).content
        assert entry["verb"] == "approval.requested"
        assert entry["after"]["policy"] == request_.policy
        assert entry["after"]["digest"] == request_.digest

    def test_listeners_hear_of_it(self, request_: Request) -> None:
        event = OutboxEvent.objects.get(topic="approval.requested")
        assert (event.subject_kind, event.subject_id) == (KIND, request_.subject_id)
        assert event.data["request"] == str(request_.pk)

    def test_the_same_content_again_keeps_the_approvals(
        self, request_: Request, requester: Actor, person: People, unchanged: Same
    ) -> None:
        approve(request_, person("finance_ops"))
        with unchanged():
            again = ask(actor=requester, subject_id=request_.subject_id)
        assert again.pk == request_.pk
        assert len(kernel.summary(again)) == 1

    def test_but_not_those_of_somebody_who_had_a_hand_in_it_since(self, approved: Request, person: People) -> None:
        hand = person("pay_admin")
        again = ask(actor=hand, subject_id=approved.subject_id)
        assert (again.pk, again.status) == (approved.pk, "pending")
        assert again.editors == [str(hand.user.pk)]
        assert [row["user"] for row in kernel.summary(again)] == ["finance_ops"]
        assert verbs(approved)[-1] == "approval.kept"
        revoke(again, hand)
        with pytest.raises(errors.SeparationOfDuties):
            approve(again, hand)

    def test_other_content_makes_it_void(self, approved: Request, requester: Actor) -> None:
        fresh = ask(actor=requester, subject_id=approved.subject_id, amount="1001")
        approved.refresh_from_db()
        assert (approved.status, fresh.status) == ("void", "pending")
        assert approved.ended_at is not None
        assert kernel.summary(fresh) == []
        assert verbs(approved)[-2:] == ["approval.voided", "approval.requested"]

    def test_another_policy_makes_it_void(self, approved: Request, requester: Actor) -> None:
        set_policy(PAYOUT, slots=[{"roles": ["ops"], "count": 1}])
        fresh = ask(actor=requester, subject_id=approved.subject_id)
        approved.refresh_from_db()
        assert (approved.status, fresh.status) == ("void", "pending")

    def test_one_out_of_time_is_not_kept(self, request_: Request, requester: Actor) -> None:
        let_time_pass(request_)
        fresh = ask(actor=requester, subject_id=request_.subject_id)
        request_.refresh_from_db()
        assert fresh.pk != request_.pk
        assert request_.status == "expired"

    def test_what_is_shown_fits_a_page(self, requester: Actor, subject: str, unchanged: Same) -> None:
        with unchanged(), pytest.raises(errors.ContentTooLarge):
            ask(actor=requester, subject_id=subject, amount="1" + "0" * 70_000)

    def test_only_for_a_kind_that_takes_part(self) -> None:
        with pytest.raises(LookupError, match="takes part"):
            subjects.hooks_for("unheard of")

    def test_only_inside_an_operation(self, request_: Request, requester: Actor) -> None:
        with pytest.raises(RuntimeError, match="operation"):
            kernel.consume(request_, digest=request_.digest, actor=requester)


class TestSuspend:
    def test_closes_it_while_the_subject_is_edited(self, approved: Request, person: People, unchanged: Same) -> None:
        suspend(request=approved, actor=SYSTEM_TEST)
        assert verbs(approved)[-1] == "approval.suspended"
        third = person("pay_admin2", "pay_admin")
        with unchanged(), pytest.raises(errors.RequestEnded):
            approve(approved, third)
        with unchanged(), pytest.raises(errors.RequestEnded):
            use(request=approved, actor=person("finance_ops"))

    def test_the_same_content_brings_it_back_approved(self, approved: Request, requester: Actor) -> None:
        suspend(request=approved, actor=SYSTEM_TEST)
        again = ask(actor=requester, subject_id=approved.subject_id)
        assert (again.pk, again.status, again.ended_at) == (approved.pk, "approved", None)

    def test_or_pending(self, request_: Request, requester: Actor, person: People) -> None:
        approve(request_, person("finance_ops"))
        suspend(request=request_, actor=SYSTEM_TEST)
        again = ask(actor=requester, subject_id=request_.subject_id)
        assert (again.pk, again.status) == (request_.pk, "pending")
        assert approve(again, person("pay_admin")).status == "approved"

    def test_other_content_ends_it(self, approved: Request, requester: Actor) -> None:
        suspend(request=approved, actor=SYSTEM_TEST)
        fresh = ask(actor=requester, subject_id=approved.subject_id, amount="7")
        approved.refresh_from_db()
        assert (approved.status, fresh.status) == ("void", "pending")


class TestVoid:
    def test_ends_every_request_of_the_subject(self, approved: Request, person: People, unchanged: Same) -> None:
        other = ask(actor=person("asker"), subject_id=approved.subject_id, action="plan.freeze")
        assert {request.pk for request in void(request=approved, actor=SYSTEM_TEST)} == {approved.pk, other.pk}
        approved.refresh_from_db()
        assert approved.status == "void"
        assert kernel.live_request(KIND, approved.subject_id, PAYOUT) is None
        with unchanged():
            assert void(request=approved, actor=SYSTEM_TEST) == []
        with unchanged(), pytest.raises(errors.RequestEnded):
            use(request=approved, actor=person("finance_ops"))

    def test_or_only_one_action(self, approved: Request, person: People) -> None:
        other = ask(actor=person("asker"), subject_id=approved.subject_id, action="plan.freeze")
        void(request=approved, action="plan.freeze", actor=SYSTEM_TEST)
        assert kernel.live_request(KIND, approved.subject_id, PAYOUT) == approved
        other.refresh_from_db()
        assert other.status == "void"


class TestConsume:
    def test_once(self, approved: Request, person: People, unchanged: Same) -> None:
        actor = person("pay_admin")
        used = use(request=approved, actor=actor)
        assert used.status == "consumed"
        assert used.ended_at is not None
        entry = Entry.objects.filter(subject_id=approved.subject_id).order_by("-seq")[0].content
        assert entry["verb"] == "approval.consumed"
        assert entry["after"]["approvers"] == ["finance_ops", "pay_admin"]
        assert followed(approved) == ["progressed", "approved"], "using it is the subject's own doing"
        for _ in range(2):
            with unchanged(), pytest.raises(errors.AlreadyConsumed):
                use(request=approved, actor=actor)

    def test_for_what_was_approved_only(self, approved: Request, person: People, unchanged: Same) -> None:
        actor = person("pay_admin")
        with unchanged(), pytest.raises(errors.DigestMismatch):
            use(request=approved, digest="0" * 64, actor=actor)

    def test_not_before_everybody_agreed(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("finance_ops")
        approve(request_, actor)
        with unchanged(), pytest.raises(errors.QuorumIncomplete, match="1 pay_admin"):
            use(request=request_, actor=actor)

    def test_not_after_its_time_even_before_the_sweeper_came(
        self, approved: Request, person: People, unchanged: Same
    ) -> None:
        actor = person("pay_admin")
        let_time_pass(approved)
        with unchanged(), pytest.raises(errors.RequestExpired):
            use(request=approved, actor=actor)

    @pytest.mark.parametrize("role", ["ops", "auditor", "dev"])
    def test_not_by_a_role_that_may_not_execute(
        self, approved: Request, person: People, unchanged: Same, role: str
    ) -> None:
        actor = person(role)
        with unchanged(), pytest.raises(errors.NotAnExecutor):
            use(request=approved, actor=actor)

    def test_not_from_a_shell_but_by_a_named_part_of_the_system(self, approved: Request, unchanged: Same) -> None:
        with unchanged(), pytest.raises(errors.NotAnExecutor):
            use(request=approved, actor=shell_actor())
        assert use(request=approved, actor=SYSTEM("scheduler")).status == "consumed"

    def test_not_when_an_approver_has_left(self, approved: Request, person: People, unchanged: Same) -> None:
        change(person("finance_ops").user, is_active=False)
        actor = person("pay_admin")
        with unchanged(), pytest.raises(errors.QuorumIncomplete) as refused:
            use(request=approved, actor=actor)
        assert refused.value.fields["open"] == [{"roles": ["finance_ops"], "count": 1}]
        assert refused.value.fields["objections"] == {"finance_ops": "the person is no longer active"}

    def test_not_when_an_approver_has_lost_the_role(self, approved: Request, person: People, unchanged: Same) -> None:
        take_role(user=person("finance_ops").user, role="finance_ops", actor=SYSTEM_TEST)
        actor = person("pay_admin")
        with unchanged(), pytest.raises(errors.QuorumIncomplete, match="1 finance_ops"):
            use(request=approved, actor=actor)

    def test_not_when_the_key_was_revoked(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("finance_ops")
        pen = pen_of(actor)
        approve(request_, actor, signature=pen.sign(selectors.text_to_sign(request_, actor)))
        approve(request_, person("pay_admin"))
        services.revoke_signer_key(key_id=pen.registered.pk, actor=actor)
        with unchanged(), pytest.raises(errors.QuorumIncomplete) as refused:
            use(request=request_, actor=actor)
        assert refused.value.fields["objections"] == {"finance_ops": "the key it was signed with is revoked"}

    def test_not_with_a_stored_signature_that_is_not_theirs(
        self, request_: Request, person: People, unchanged: Same
    ) -> None:
        """Each is verified again, so a row that came from elsewhere than the decision's door does not count."""
        actor, admin = person("finance_ops"), person("pay_admin")
        key = pen_of(actor).registered
        paste(request=request_, key=key, user=actor.user, actor=SYSTEM_TEST)
        assert approve(request_, admin).status == "pending"
        with unchanged(), pytest.raises(errors.QuorumIncomplete) as refused:
            use(request=request_, actor=admin)
        assert refused.value.fields["objections"] == {"finance_ops": "its signature does not verify"}


class TestTime:
    def test_the_sweeper_ends_what_is_over(self, approved: Request, unchanged: Same) -> None:
        with unchanged():
            assert jobs.expire_requests() == 0
        let_time_pass(approved)
        assert jobs.expire_requests() == 1
        approved.refresh_from_db()
        assert approved.status == "expired"
        assert followed(approved)[-1] == "expired"
        assert verbs(approved)[-1] == "approval.expired"
        assert Entry.objects.order_by("-seq")[0].actor_name == "system:approvals-sweeper"
        with unchanged():
            assert jobs.expire_requests() == 0

    def test_a_suspended_one_too(self, request_: Request) -> None:
        suspend(request=request_, actor=SYSTEM_TEST)
        let_time_pass(request_)
        assert jobs.expire_requests() == 1

    def test_one_that_refuses_does_not_hold_up_the_rest(self, request_: Request, requester: Actor) -> None:
        def refuse(subject_id: str) -> None:
            raise NotFound("gone", subject=subject_id)

        stuck = ask(actor=requester, subject_id=make_subject(actor=SYSTEM_TEST))
        let_time_pass(stuck)
        change(stuck, expires_at=stuck.created_at.replace(year=2000))
        let_time_pass(request_)
        hooks = subjects.hooks_for(KIND)

        def lock(subject_id: str) -> object:
            return refuse(subject_id) if subject_id == stuck.subject_id else hooks.lock(subject_id)

        subjects.register(KIND, subjects.SubjectHooks(lock=lock, decided=hooks.decided, expired=hooks.expired))
        try:
            assert jobs.expire_requests() == 1
        finally:
            subjects.register(KIND, hooks)
        request_.refresh_from_db()
        assert request_.status == "expired"

    def test_a_quorum_that_fell_apart_is_noticed(self, approved: Request, person: People, unchanged: Same) -> None:
        with unchanged():
            assert jobs.recount_requests() == 0
        change(person("finance_ops").user, is_active=False)
        assert jobs.recount_requests() == 1
        approved.refresh_from_db()
        assert approved.status == "pending"
        assert followed(approved)[-1] == "reopened"
        entry = Entry.objects.filter(subject_id=approved.subject_id).order_by("-seq")[0].content
        assert (entry["verb"], entry["reason"]) == ("approval.reopened", "the person is no longer active")


def test_a_decision_that_the_subject_refuses_changes_nothing(
    request_: Request, person: People, unchanged: Same
) -> None:
    def refuse(*_: object) -> None:
        raise errors.RequestEnded("the subject is not waiting")

    hooks = subjects.hooks_for(KIND)
    subjects.register(KIND, subjects.SubjectHooks(lock=hooks.lock, decided=refuse, expired=hooks.expired))
    actor = person("finance_ops")
    try:
        with unchanged(), pytest.raises(errors.RequestEnded, match="not waiting"):
            approve(request_, actor)
    finally:
        subjects.register(KIND, hooks)


def test_every_state_ends_or_is_swept() -> None:
    for state in RequestState:
        assert state.is_final or RequestState.EXPIRED.value in state.following
