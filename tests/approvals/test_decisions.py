"""What people may say to a request, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opsconsole.approvals import errors, kernel, selectors, services
from opsconsole.approvals.models import Decision, Request
from opsconsole.approvals.signatures import signing_text
from opsconsole.approvals.states import DecisionKind
from opsconsole.core.actors import SYSTEM, Actor, shell_actor
from opsconsole.core.errors import Denied, NotFound
from opsconsole.journal.models import Entry
from tests.approvals.conftest import (
    PAYOUT,
    SYSTEM_TEST,
    People,
    approve,
    ask,
    change,
    decide,
    followed,
    let_time_pass,
    pen_of,
    reject,
    revoke,
    set_policy,
    take_role,
    use,
    verbs,
)
from tests.signing import give_key

pytestmark = pytest.mark.django_db
Same = Callable[[], Any]


def last_entry(request: Request) -> dict[str, Any]:
    return Entry.objects.filter(subject_id=request.subject_id).order_by("-seq")[0].content


class TestApprove:
    def test_two_people_fill_two_slots(self, request_: Request, person: People) -> None:
        first = approve(request_, person("finance_ops"))
        assert first.status == "pending"
        assert followed(request_) == ["progressed"]

        second = approve(request_, person("pay_admin"))
        assert second.status == "approved"
        assert second.decided_at is not None
        assert second.ended_at is None
        assert followed(request_) == ["progressed", "approved"]
        assert verbs(request_) == ["approval.requested", "approval.approved", "approval.approved"]

    def test_the_journal_says_who_agreed_to_what(self, request_: Request, person: People) -> None:
        actor = person("finance_ops")
        approve(request_, actor, reason="checked")
        entry = last_entry(request_)
        assert entry["actor"]["id"] == actor.id
        assert entry["reason"] == "checked"
        assert entry["before"] == {"status": "pending"}
        assert entry["after"] == {
            "request": str(request_.pk),
            "action": PAYOUT,
            "status": "pending",
            "decision": str(Decision.objects.get().pk),
            "digest": request_.digest,
            "open": [{"roles": ["pay_admin"], "count": 1}],
        }

    def test_not_the_requester(self, request_: Request, requester: Actor, unchanged: Same) -> None:
        with unchanged(), pytest.raises(errors.SeparationOfDuties):
            approve(request_, requester)

    def test_not_an_editor(self, requester: Actor, subject: str, person: People, unchanged: Same) -> None:
        editor = person("pay_admin")
        request = ask(actor=requester, subject_id=subject, editors=[editor.user.pk])
        with unchanged(), pytest.raises(errors.SeparationOfDuties):
            approve(request, editor)

    @pytest.mark.parametrize("role", ["auditor", "dev", "trader", "admin"])
    def test_not_without_the_permission(self, request_: Request, person: People, unchanged: Same, role: str) -> None:
        actor = person(role)
        with unchanged(), pytest.raises((Denied, NotFound)):
            approve(request_, actor)

    def test_not_without_a_role_that_is_asked_for(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("ops")
        with unchanged(), pytest.raises(errors.NotAnApprover, match="finance_ops, pay_admin"):
            approve(request_, actor)

    @pytest.mark.parametrize("actor", [SYSTEM("robot"), shell_actor()])
    def test_not_without_a_person(self, request_: Request, actor: Actor, unchanged: Same) -> None:
        with unchanged(), pytest.raises((Denied, NotFound)):
            approve(request_, actor)

    def test_not_twice(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("finance_ops")
        approve(request_, actor)
        with unchanged(), pytest.raises(errors.AlreadyApproved):
            approve(request_, actor)

    def test_not_where_the_slot_is_taken(self, request_: Request, person: People, unchanged: Same) -> None:
        approve(request_, person("finance_ops"))
        with unchanged(), pytest.raises(errors.NoOpenSlot, match="Still needed: 1 pay_admin"):
            approve(request_, person("finance_ops2", "finance_ops"))

    def test_not_when_everybody_has_agreed(self, request_: Request, person: People, unchanged: Same) -> None:
        approve(request_, person("finance_ops"))
        approve(request_, person("pay_admin"))
        third = person("pay_admin2", "pay_admin")
        with unchanged(), pytest.raises(errors.AlreadyComplete):
            approve(request_, third)

    def test_somebody_with_both_roles_is_seated_where_it_helps(self, request_: Request, person: People) -> None:
        approve(request_, person("both", "finance_ops", "pay_admin"))
        approved = approve(request_, person("finance_ops"))
        assert approved.status == "approved"
        roles = {row["user"]: row["role"] for row in kernel.summary(approved)}
        assert roles == {"both": "pay_admin", "finance_ops": "finance_ops"}

    def test_not_for_content_that_has_changed_since_it_was_seen(
        self, request_: Request, person: People, unchanged: Same
    ) -> None:
        actor = person("finance_ops")
        with unchanged(), pytest.raises(errors.DigestMismatch):
            approve(request_, actor, digest="0" * 64)

    def test_not_after_its_time_even_before_the_sweeper_came(
        self, request_: Request, person: People, unchanged: Same
    ) -> None:
        actor = person("finance_ops")
        let_time_pass(request_)
        with unchanged(), pytest.raises(errors.RequestExpired):
            approve(request_, actor)
        with unchanged(), pytest.raises(errors.RequestExpired):
            reject(request_, actor)

    def test_roles_are_looked_up_and_not_remembered(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("both", "finance_ops", "ops")
        assert "finance_ops" in actor.roles
        take_role(user=actor.user, role="finance_ops", actor=SYSTEM_TEST)
        with unchanged(), pytest.raises(errors.NotAnApprover):
            approve(request_, actor)

    def test_an_approved_request_whose_quorum_fell_apart_takes_another(self, request_: Request, person: People) -> None:
        leaver = person("pay_admin")
        approve(request_, person("finance_ops"))
        approve(request_, leaver)
        change(leaver.user, is_active=False)
        again = approve(request_, person("pay_admin2", "pay_admin"))
        assert again.status == "approved"
        assert followed(request_) == ["progressed", "approved", "reopened", "approved"]
        assert [row["user"] for row in kernel.summary(again)] == ["finance_ops", "pay_admin2"]

    def test_a_wish_for_more_approvals_is_met_by_any_role_of_the_policy(
        self, requester: Actor, subject: str, person: People
    ) -> None:
        request = ask(actor=requester, subject_id=subject, required_approvals=3)
        approve(request, person("finance_ops"))
        assert approve(request, person("pay_admin")).status == "pending"
        assert approve(request, person("finance_ops2", "finance_ops")).status == "approved"

    def test_a_later_policy_changes_nothing_under_way(self, request_: Request, person: People) -> None:
        set_policy(PAYOUT, slots=[{"roles": ["ops"], "count": 1}], signature_required=True, executors=["ops"])
        with pytest.raises(errors.NotAnApprover):
            approve(request_, person("ops"))
        approve(request_, person("finance_ops"))
        approve(request_, person("pay_admin"))
        assert use(request=request_, actor=person("finance_ops")).status == "consumed"


class TestReject:
    def test_ends_the_request(self, request_: Request, person: People, unchanged: Same) -> None:
        approve(request_, person("finance_ops"))
        rejected = reject(request_, person("pay_admin"), reason="wrong cutoff")
        assert rejected.status == "rejected"
        assert rejected.ended_at == rejected.decided_at is not None
        assert followed(request_) == ["progressed", "rejected"]
        assert last_entry(request_)["verb"] == "approval.rejected"
        assert last_entry(request_)["reason"] == "wrong cutoff"
        for kind in (DecisionKind.APPROVE, DecisionKind.REJECT, DecisionKind.REVOKE):
            with unchanged(), pytest.raises(errors.RequestEnded):
                decide(request=request_, kind=kind, said={"reason": "x"}, actor=person("pay_admin"))

    def test_ends_an_approved_one_too(self, request_: Request, person: People) -> None:
        approve(request_, person("finance_ops"))
        approve(request_, person("pay_admin"))
        assert reject(request_, person("pay_admin2", "pay_admin")).status == "rejected"

    @pytest.mark.parametrize("reason", ["", "  \n"])
    def test_says_why(self, request_: Request, person: People, unchanged: Same, reason: str) -> None:
        actor = person("pay_admin")
        with unchanged(), pytest.raises(errors.ReasonMissing):
            reject(request_, actor, reason=reason)

    def test_not_by_somebody_who_is_not_asked(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("ops")
        with unchanged(), pytest.raises(errors.NotAnApprover):
            reject(request_, actor)

    def test_the_requester_may_stop_what_they_asked_for(self, request_: Request, requester: Actor) -> None:
        assert reject(request_, requester).status == "rejected"


class TestRevoke:
    def test_takes_ones_own_approval_back(self, request_: Request, person: People) -> None:
        actor = person("finance_ops")
        approve(request_, actor)
        assert revoke(request_, actor).status == "pending"
        assert kernel.summary(request_) == []
        assert followed(request_) == ["progressed", "progressed"]
        assert last_entry(request_)["verb"] == "approval.revoked"

    def test_reopens_what_was_approved(self, request_: Request, person: People) -> None:
        actor = person("finance_ops")
        approve(request_, actor)
        decided = approve(request_, person("pay_admin")).decided_at
        reopened = revoke(request_, actor)
        assert reopened.status == "pending"
        assert reopened.decided_at == decided, "the wait is measured once"
        assert followed(request_)[-1] == "reopened"
        assert approve(request_, person("finance_ops2", "finance_ops")).status == "approved"

    def test_and_may_approve_again(self, request_: Request, person: People) -> None:
        actor = person("finance_ops")
        for nth in (1, 2, 3):
            approve(request_, actor)
            assert Decision.objects.filter(kind="approve").latest("at").nth == nth
            revoke(request_, actor)

    def test_nobody_elses(self, request_: Request, person: People, unchanged: Same) -> None:
        approve(request_, person("finance_ops"))
        other = person("finance_ops2", "finance_ops")
        with unchanged(), pytest.raises(errors.NothingToRevoke):
            revoke(request_, other)

    def test_not_twice(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("finance_ops")
        approve(request_, actor)
        revoke(request_, actor)
        with unchanged(), pytest.raises(errors.NothingToRevoke):
            revoke(request_, actor)

    def test_not_once_it_was_used(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("finance_ops")
        approve(request_, actor)
        approve(request_, person("pay_admin"))
        use(request=request_, actor=actor)
        with unchanged(), pytest.raises(errors.AlreadyConsumed):
            revoke(request_, actor)


class TestComment:
    def test_decides_nothing(self, request_: Request, requester: Actor, person: People) -> None:
        for actor in (requester, person("ops")):
            decide(request=request_, kind=DecisionKind.COMMENT, said={"reason": "payee 17?"}, actor=actor)
        request_.refresh_from_db()
        assert request_.status == "pending"
        assert followed(request_) == []
        assert verbs(request_)[1:] == ["approval.commented"] * 2

    def test_may_come_late(self, request_: Request, person: People) -> None:
        reject(request_, person("pay_admin"))
        decide(request=request_, kind=DecisionKind.COMMENT, said={"reason": "good catch"}, actor=person("ops"))
        assert verbs(request_)[-1] == "approval.commented"

    def test_says_something(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("ops")
        with unchanged(), pytest.raises(errors.ReasonMissing):
            decide(request=request_, kind=DecisionKind.COMMENT, said={"reason": " "}, actor=actor)

    def test_not_by_an_auditor(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("auditor")
        with unchanged(), pytest.raises(Denied):
            decide(request=request_, kind=DecisionKind.COMMENT, said={"reason": "hm"}, actor=actor)


class TestSignatures:
    @pytest.fixture
    def large(self, requester: Actor, subject: str) -> Request:
        """Above the threshold: two pay_admin beside the finance_ops, all signed."""
        return ask(actor=requester, subject_id=subject, amount="1000000.01")

    def test_a_signed_approval(self, request_: Request, person: People) -> None:
        actor = person("finance_ops")
        pen = pen_of(actor)
        approve(request_, actor, signature=pen.sign(selectors.text_to_sign(request_, actor)))
        decision = Decision.objects.get()
        assert decision.signer_key == pen.registered
        assert kernel.summary(request_)[0]["signed"] is True
        assert last_entry(request_)["after"]["signature"] == decision.signature
        assert last_entry(request_)["after"]["signer_key"] == pen.registered.fingerprint

    def test_where_all_must_sign(self, large: Request, person: People, unchanged: Same) -> None:
        people = [person("finance_ops"), person("pay_admin"), person("pay_admin2", "pay_admin")]
        pens = [pen_of(actor) for actor in people]
        with unchanged(), pytest.raises(errors.SignatureRequired):
            approve(large, people[0])
        for actor, pen in zip(people, pens, strict=True):
            large = approve(large, actor, signature=pen.sign(selectors.text_to_sign(large, actor)))
        assert large.status == "approved"
        assert use(request=large, actor=people[0]).status == "consumed"

    def test_rejecting_needs_no_signature_and_takes_a_good_one(
        self, large: Request, person: People, unchanged: Same
    ) -> None:
        actor = person("pay_admin")
        pen = pen_of(actor)
        yes = pen.sign(selectors.text_to_sign(large, actor))
        with unchanged(), pytest.raises(errors.SignatureInvalid):
            reject(large, actor, signature=yes)
        no = pen.sign(selectors.text_to_sign(large, actor, DecisionKind.REJECT))
        assert reject(large, actor, signature=no).status == "rejected"

    def test_forged_ones(self, request_: Request, person: People, unchanged: Same) -> None:
        actor, other = person("finance_ops"), person("pay_admin")
        pen, others, loose = pen_of(actor), pen_of(other), pen_of(actor)
        services.revoke_signer_key(key_id=loose.registered.pk, actor=actor)
        text = selectors.text_to_sign(request_, actor)
        good = pen.sign(text)
        another = signing_text(request_id=other.user.pk, digest=request_.digest, decision="approve")
        forged = {
            "another person's key": others.sign(text),
            "a revoked key": loose.sign(text),
            "another digest": pen.sign(text.replace(request_.digest, "0" * 64)),
            "another decision": pen.sign(text.replace("approve", "reject")),
            "another request": pen.sign(another),
            "a later round": pen.sign(text + "round: 2\n"),
            "a flipped bit": ("B" if good[0] == "A" else "A") + good[1:],
            "cut short": good[:40],
            "not base64": "!" + good[1:],
            "blank": " ",
        }
        for what, signature in forged.items():
            with unchanged(), pytest.raises(errors.SignatureInvalid):
                approve(request_, actor, signature=signature)
            assert Decision.objects.count() == 0, what
        approve(request_, actor, signature=good)

    def test_one_that_was_taken_back_is_spent(self, request_: Request, person: People, unchanged: Same) -> None:
        actor = person("finance_ops")
        pen = pen_of(actor)
        first = pen.sign(selectors.text_to_sign(request_, actor))
        approve(request_, actor, signature=first)
        revoke(request_, actor)
        with unchanged(), pytest.raises(errors.SignatureInvalid):
            approve(request_, actor, signature=first)
        again = selectors.text_to_sign(request_, actor)
        assert again.endswith("round: 2\n")
        approve(request_, actor, signature=pen.sign(again))
        assert len(kernel.summary(request_)) == 1


class TestSignerKeys:
    def test_registered_and_revoked_on_record(self, person: People) -> None:
        actor = person("pay_admin")
        pen = pen_of(actor)
        key = services.revoke_signer_key(key_id=pen.registered.pk, actor=actor)
        assert key.revoked_at is not None
        entries = Entry.objects.filter(subject_id=str(key.pk)).order_by("seq")
        assert [entry.verb for entry in entries] == ["signer_key.registered", "signer_key.revoked"]
        assert entries[0].content["after"]["fingerprint"] == key.fingerprint

    def test_a_key_is_one_persons_for_good(self, person: People, unchanged: Same) -> None:
        actor, other = person("pay_admin"), person("finance_ops")
        pen = pen_of(actor)
        services.revoke_signer_key(key_id=pen.registered.pk, actor=actor)
        for claimant in (actor, other):
            with unchanged(), pytest.raises(errors.SignerKeyTaken):
                give_key(name="pen", public_key=pen.public, actor=claimant)

    def test_nobody_revokes_anothers(self, person: People, unchanged: Same) -> None:
        pen = pen_of(person("pay_admin"))
        other = person("finance_ops")
        with unchanged(), pytest.raises(NotFound):
            services.revoke_signer_key(key_id=pen.registered.pk, actor=other)

    def test_not_twice(self, person: People, unchanged: Same) -> None:
        actor = person("pay_admin")
        pen = pen_of(actor)
        services.revoke_signer_key(key_id=pen.registered.pk, actor=actor)
        with unchanged(), pytest.raises(errors.SignerKeyRevoked):
            services.revoke_signer_key(key_id=pen.registered.pk, actor=actor)
