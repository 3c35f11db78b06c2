"""What a policy asks for once its thresholds and the requester's wish are applied."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.approvals import defaults
from opsconsole.approvals.errors import MeasureMissing, NoPolicy
from opsconsole.approvals.models import Policy
from opsconsole.approvals.quorum import Slot
from opsconsole.approvals.selectors import policy_for
from opsconsole.approvals.terms import MOST_APPROVALS, Terms, Threshold, slots_from_json
from opsconsole.core.errors import Invalid
from opsconsole.core.roles import ROLES
from tests.approvals.conftest import PAYOUT, set_policy

MILLION = Decimal(1_000_000)

role_sets = st.sets(st.sampled_from(["a", "b", "c"]), min_size=1).map(lambda roles: tuple(sorted(roles)))
slots_ = st.lists(st.builds(Slot, role_sets, st.integers(1, 3)), min_size=1, max_size=3).map(tuple)
terms_ = st.builds(
    Terms,
    action=st.just("x"),
    version=st.just(1),
    slots=slots_,
    executors=st.just(("a",)),
    signature_required=st.booleans(),
    ttl=st.just(timedelta(hours=1)),
)
thresholds_ = st.builds(
    Threshold,
    of=st.just("size"),
    over=st.decimals(0, 10, places=1),
    slots=slots_,
    signature_required=st.booleans(),
)


def needed(terms: Terms) -> dict[tuple[str, ...], int]:
    counts: dict[tuple[str, ...], int] = {}
    for slot in terms.slots:
        counts[slot.roles] = counts.get(slot.roles, 0) + slot.count
    return counts


@given(terms=terms_, thresholds=st.lists(thresholds_, max_size=3), size=st.decimals(0, 11, places=1))
def test_thresholds_only_raise(terms: Terms, thresholds: list[Threshold], size: Decimal) -> None:
    terms = Terms.from_json(terms.as_json())
    raised = terms.under(thresholds, {"size": size})
    for roles, number in needed(terms).items():
        assert needed(raised)[roles] >= number
    assert raised.signature_required >= terms.signature_required
    if all(size <= threshold.over for threshold in thresholds):
        assert raised == terms


@given(terms=terms_, wish=st.integers(-3, MOST_APPROVALS))
def test_a_wish_only_raises(terms: Terms, wish: int) -> None:
    raised = terms.raised_to(wish)
    assert raised.quorum == max(terms.quorum, wish)
    assert raised.roles == terms.roles, "extra slots are for the policy's own roles"


@given(terms=terms_)
def test_the_snapshot_tells_everything(terms: Terms) -> None:
    again = Terms.from_json(terms.as_json())
    assert again.as_json() == terms.as_json()
    assert needed(again) == needed(terms)


def test_no_more_approvals_than_there_may_be_people() -> None:
    terms = Terms("x", 1, (Slot(("a",), 1),), ("a",), signature_required=False, ttl=timedelta(hours=1))
    with pytest.raises(Invalid, match="At most"):
        terms.raised_to(MOST_APPROVALS + 1)


@pytest.mark.parametrize("slots", [[], [{"roles": [], "count": 1}], [{"roles": ["a"], "count": 0}]])
def test_a_policy_that_asks_nobody_is_no_policy(slots: list[dict[str, object]]) -> None:
    with pytest.raises(ValueError, match="asks nobody|at least one role"):
        Terms("x", 1, slots_from_json(slots), ("a",), signature_required=False, ttl=timedelta(hours=1))


@pytest.mark.django_db
class TestDefaults:
    """The table of default policies, row by row."""

    @pytest.mark.parametrize("action", ["plan.payout_batch", "plan.sweep"])
    def test_money_up_to_a_million(self, action: str) -> None:
        terms = policy_for(action, sums={"EUR": MILLION, "USD": Decimal(5)})
        assert needed(terms) == {("finance_ops",): 1, ("pay_admin",): 1}
        assert terms.executors == ("finance_ops", "pay_admin")
        assert not terms.signature_required
        assert terms.passed == ()

    @pytest.mark.parametrize("action", ["plan.payout_batch", "plan.sweep"])
    def test_money_above_a_million_in_any_currency(self, action: str) -> None:
        terms = policy_for(action, sums={"EUR": Decimal(5), "USD": MILLION + Decimal("0.01")})
        assert needed(terms) == {("finance_ops",): 1, ("pay_admin",): 2}
        assert terms.signature_required
        assert terms.as_json()["thresholds_passed"] == ["any_currency_sum over 1000000"]

    def test_failover(self) -> None:
        terms = policy_for("plan.failover")
        assert needed(terms) == {("ops",): 1, ("pay_admin",): 1}
        assert terms.executors == ("finance_ops", "ops", "pay_admin")

    @pytest.mark.parametrize("action", ["plan.freeze", "plan.pause_bank"])
    def test_stopping_takes_one_person_and_undoing_two(self, action: str) -> None:
        stop, undo = policy_for(action), policy_for(f"{action}.rollback")
        assert needed(stop) == {("finance_ops", "ops", "pay_admin"): 1}
        assert needed(undo) == {("finance_ops",): 1, ("pay_admin",): 1}
        assert stop.executors == undo.executors == ("finance_ops", "ops", "pay_admin")

    def test_never_the_requester_alone_and_only_roles_there_are(self) -> None:
        policies = Policy.objects.all()
        assert {policy.action for policy in policies} == set(defaults.POLICIES)
        for policy in policies:
            # Where two teams agree, whoever asks speaks for their own: see Request.barred for a lone slot.
            assert not policy.requester_may_approve or policy.action.startswith("loyalty.")
            roles = {role for slot in policy.slots for role in slot["roles"]} | set(policy.executors)
            assert roles <= set(ROLES)
            for role in {role for slot in policy.slots for role in slot["roles"]}:
                assert "approvals.decide_request" in ROLES[role]

    def test_installing_again_adds_nothing_and_respects_what_was_changed(self) -> None:
        set_policy(PAYOUT, slots=[{"roles": ["ops"], "count": 1}])
        assert defaults.install(Policy) == []
        assert needed(policy_for(PAYOUT, sums={})) == {("ops",): 1}


@pytest.mark.django_db
def test_without_a_policy_nobody_can_agree() -> None:
    with pytest.raises(NoPolicy):
        policy_for("plan.unheard_of")


@pytest.mark.django_db
@pytest.mark.parametrize("sums", [None, {"EUR": Decimal("NaN")}])
def test_a_threshold_on_what_was_not_measured_refuses(sums: dict[str, Decimal] | None) -> None:
    with pytest.raises(MeasureMissing):
        policy_for(PAYOUT, sums=sums)
