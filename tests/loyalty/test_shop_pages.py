"""The pages of vouchers, rewards, tiers and rules of earning: what their buttons do, and what they show of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from loyalty.due import programs_asked_for
from loyalty.jobs import tiers as tier_jobs
from loyalty.jobs import vouchers as voucher_jobs
from loyalty.models import Balance, Program, Redemption, Reward, Rule, Tier, TierSnapshot, Voucher, VoucherBatch
from loyalty.services import rewards, tiers, vouchers
from loyalty.services.tiers import ASKED, EVALUATED, TierFacts
from loyalty.vouchers.codes import grouped
from opsconsole.approvals.models import Request
from opsconsole.approvals.services import decide_request
from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def batch(program: Program, marketing: Actor) -> VoucherBatch:
    """Five codes of ten points, two for a member."""
    made, _new = vouchers.issue_batch(
        program_id=program.pk, name="Fair", points=10, count=5, per_member=2, actor=marketing
    )
    voucher_jobs.make_codes(str(made.pk))
    made.refresh_from_db()
    return made


def address(where: type[Model] | Model, name: str) -> str:
    meta = where._meta
    args = [str(where.pk)] if isinstance(where, Model) else []
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{name}", args=args)


def shown(client: Client, where: type[Model] | Model, **narrowed: Any) -> str:
    """The page of a row, or the list of a model."""
    name = "change" if isinstance(where, Model) else "changelist"
    answer = client.get(address(where, name), narrowed)
    assert answer.status_code == 200, (where, answer.status_code)
    return answer.content.decode()


def press(client: Client, where: type[Model] | Model, button: str, /, **said: Any) -> Any:
    """Send the form of a button as it was shown, but for what is said; the page that it leads to."""
    form = client.get(address(where, button)).context["form"]
    sent = {field: form.get_initial_for_field(one, field) for field, one in form.fields.items()}
    filled = {field: value for field, value in (sent | {"reason": "because"} | said).items() if value is not None}
    if form.typed:
        filled["typed"] = form.typed
    return client.post(address(where, button), filled, follow=True)


def agree(finance: Actor) -> Request:
    asked = Request.objects.filter(action="loyalty.earn_rate").latest("created_at")
    return decide_request(request_id=asked.pk, approved=True, comments="", signature="", actor=finance)


class TestVouchers:
    def test_a_batch_from_the_form_to_the_file(self, program: Program, browse: Callable[..., Client]) -> None:
        marketing = browse("ops_marketing")
        page = press(marketing, VoucherBatch, "new", program=program.pk, name="Fair", points=10, count=3, per_member=1)
        assert "3 codes are ordered" in page.content.decode()
        made = VoucherBatch.objects.get()
        assert "0 of 3 codes are made" in shown(marketing, made)
        assert "wait for the rest" in marketing.get(address(made, "export")).content.decode()
        live = marketing.get(address(made, "progress"))
        assert (live.headers["Ops-Live"], "0 of 3" in live.content.decode()) == ("yes", True)
        voucher_jobs.make_codes(str(made.pk))
        assert marketing.get(address(made, "progress")).headers["Ops-Live"] == "no"
        file = press(marketing, made, "export")
        assert file.headers["Content-Disposition"] == f'attachment; filename="vouchers-{made.pk}.csv"'
        assert "no-store" in file.headers["Cache-Control"]
        lines = list(csv.DictReader(io.StringIO(b"".join(file.streaming_content).decode())))
        codes = set(Voucher.objects.values_list("code", flat=True))
        assert {line["code"] for line in lines} == {grouped(code) for code in codes}
        entry = Entry.objects.get(verb="vouchers.exported")
        assert (entry.actor_name, entry.content["reason"]) == ("ops_marketing", "because")
        # A code leaves by the file alone.
        for page in (
            shown(marketing, made),
            shown(marketing, Voucher),
            *(shown(marketing, v) for v in made.vouchers.all()),
        ):
            assert not any(code in page or grouped(code) in page for code in codes)

    def test_the_same_batch_again_adds_nothing(self, batch: VoucherBatch, browse: Callable[..., Client]) -> None:
        order = {"program": batch.program_id, "name": "Fair", "points": 10, "count": 5, "per_member": 2}
        page = press(browse("ops_marketing"), VoucherBatch, "new", **order)
        assert "nothing was added" in page.content.decode()
        wrong = press(browse("ops_marketing"), VoucherBatch, "new", **{**order, "points": 11})
        assert wrong.status_code == 409
        assert VoucherBatch.objects.count() == 1

    def test_how_many_are_redeemed_and_withdrawn_and_by_whom(
        self, batch: VoucherBatch, browse: Callable[..., Client], marketing: Actor, member: Callable[..., Balance]
    ) -> None:
        member("alice", 5)
        first, second = batch.vouchers.order_by("pk")[:2]
        vouchers.redeem_voucher(code=first.code, user_id="alice", actor=marketing)
        client = browse("ops_marketing")
        assert "The code counts no more." in press(client, second, "withdraw").content.decode()
        listed = shown(client, VoucherBatch)
        assert 'aria-label="redeemed 1, can be redeemed 3, withdrawn one by one 1"' in listed
        page = shown(client, batch)
        assert "alice" in page
        assert first.ending in page
        assert "points that may still be given" in page.lower()
        assert first.ending in shown(client, Voucher, q="alice")
        assert second.ending not in shown(client, Voucher, q="alice")
        assert "alice" in shown(client, first)
        assert client.get(address(first, "withdraw")).status_code == 200
        assert press(client, first, "withdraw").status_code == 409  # it is spent
        assert "The batch is withdrawn." in press(client, batch, "withdraw").content.decode()
        assert "withdrawn with the batch 3" in shown(client, VoucherBatch)
        second.refresh_from_db()
        assert second.status == "void"

    def test_one_code_is_looked_up_and_stands_in_no_address(
        self, batch: VoucherBatch, browse: Callable[..., Client]
    ) -> None:
        voucher = batch.vouchers.order_by("pk")[3]
        client = browse("auditor")
        found = press(client, Voucher, "look-up", code=f" {grouped(voucher.code).lower()} ")
        assert found.redirect_chain == [(address(voucher, "change"), 302)]
        assert "There is no such voucher." in press(client, Voucher, "look-up", code="0" * 16).content.decode()
        assert "This is no code" in press(client, Voucher, "look-up", code="hello").content.decode()
        assert client.get(address(voucher, "withdraw")).status_code == 403
        assert client.get(address(batch, "export")).status_code == 403
        assert {entry.verb for entry in Entry.objects.filter(actor_name="auditor")} == {"user.logged_in"}

    def test_a_batch_that_the_budget_does_not_cover_says_so(
        self, program: Program, browse: Callable[..., Client], marketing: Actor
    ) -> None:
        made, _new = vouchers.issue_batch(program_id=program.pk, name="Rich", points=600_000, count=2, actor=marketing)
        voucher_jobs.make_codes(str(made.pk))
        assert "More than the budget" in shown(browse("ops_marketing"), VoucherBatch.objects.get(pk=made.pk))


class TestRewards:
    def test_a_reward_is_offered_changed_retired_and_offered_again(
        self, program: Program, browse: Callable[..., Client]
    ) -> None:
        client = browse("ops_marketing")
        press(client, Reward, "new", program=program.pk, name="Coffee", points=100, stock=5)
        coffee = Reward.objects.get()
        form = client.get(address(coffee, "edit")).context["form"]
        Reward.objects.filter(pk=coffee.pk).update(stock=3)  # two are taken while somebody looks at the form
        filled = {
            "key": str(form.initial["key"]), "name": "Coffee", "points": 90, "stock": 5, "initial-stock": 5,
            "reason": "cheaper beans",
        }  # fmt: skip
        client.post(address(coffee, "edit"), filled)
        coffee.refresh_from_db()
        assert (coffee.points, coffee.stock) == (90, 3)
        press(client, coffee, "retire")
        coffee.refresh_from_db()
        assert not coffee.active
        assert "Coffee" not in shown(client, Reward, given="yes")
        press(client, coffee, "offer-again")
        coffee.refresh_from_db()
        assert coffee.active
        reasons = [entry.content["reason"] for entry in Entry.objects.filter(verb="reward.changed").order_by("seq")]
        assert reasons == ["cheaper beans", "because", "because"]

    def test_a_redemption_is_handed_over_or_taken_back(
        self, program: Program, browse: Callable[..., Client], marketing: Actor, member: Callable[..., Balance]
    ) -> None:
        alice = member("alice", 500)
        coffee = rewards.create_reward(program_id=program.pk, name="Coffee", points=100, stock=5, actor=marketing)
        first, second = (rewards.redeem_reward(reward_id=coffee.pk, user_id="alice", actor=marketing) for _ in range(2))
        client = browse("ops_marketing")
        press(client, first, "fulfil")
        assert press(client, first, "take-back").status_code == 409
        assert "taken back" in press(client, second, "take-back").content.decode()
        alice.refresh_from_db()
        coffee.refresh_from_db()
        assert (alice.points_balance, coffee.stock) == (400, 4)
        assert set(Redemption.objects.values_list("status", flat=True)) == {"fulfilled", "reversed"}
        page = shown(client, coffee)
        assert 'aria-label="handed over 1, to be handed over 0, in stock 4"' in page
        assert address(alice, "change") in shown(client, first)
        narrowed = shown(client, Redemption, reward__id__exact=str(coffee.pk), status__exact="fulfilled")
        assert address(first, "change") in narrowed
        assert address(second, "change") not in narrowed
        risk = browse("risk_manager")
        assert risk.get(address(first, "fulfil")).status_code == 403


class TestTiers:
    def test_a_tier_that_multiplies_from_the_form_to_the_button_that_carries_it_out(
        self, program: Program, browse: Callable[..., Client], finance: Actor
    ) -> None:
        client = browse("ops_marketing")
        order = {"program": program.pk, "name": "Gold", "rank": 2, "threshold": 1000, "window_months": 12}
        assert "Others must agree first" in press(client, Tier, "new", **order, multiplier="1.5").content.decode()
        assert not Tier.objects.exists()
        asked = agree(finance)
        assert asked.title in shown(client, Tier)
        assert "The tier Gold is defined." in press(client, program, "carry-out").content.decode()
        gold = Tier.objects.get()
        assert (gold.multiplier, gold.threshold) == (Decimal("1.5"), 1000)
        assert "Others must agree first" in press(client, gold, "edit", multiplier="2").content.decode()
        assert "carry-out" not in shown(client, gold)
        agree(finance)
        assert "carry-out" not in shown(browse("finance_ops"), gold)
        assert "The tier is changed." in press(client, gold, "carry-out").content.decode()
        gold.refresh_from_db()
        assert gold.multiplier == 2
        assert "carry-out" not in shown(client, gold)
        named = press(client, gold, "edit", name="Or").content.decode()
        assert "The tier is changed." in named

    def test_everybody_is_evaluated_by_the_worker_of_the_api(
        self, program: Program, browse: Callable[..., Client], marketing: Actor, member: Callable[..., Balance]
    ) -> None:
        silver = tiers.define_tier(program_id=program.pk, facts=TierFacts("Silver", 1, 100), actor=marketing)
        assert isinstance(silver, Tier)
        alice = member("alice", 500)
        member("bob", 5)
        client = browse("ops_marketing")
        said = press(client, Tier, "evaluate").content.decode()
        assert "A worker evaluates the tiers of 1 program." in said
        assert "a worker is asked" in said
        assert programs_asked_for(ASKED, EVALUATED) == [program.pk]
        tier_jobs.evaluate(str(program.pk))
        assert "a worker is asked" not in shown(client, Tier)
        page = shown(client, silver)
        assert 'aria-label="members 1"' in page
        assert "50 %" in page
        assert address(alice, "change") in page
        moved = TierSnapshot.objects.get()
        assert "alice" in shown(client, TierSnapshot, move__exact="upgrade", q="alice")
        assert "alice" not in shown(client, TierSnapshot, move__exact="downgrade")
        assert "the tiers as they are now" in shown(client, moved)
        rename: dict[str, Any] = {"tier_id": silver.pk, "changes": {"threshold": 101}, "reason": "x"}
        tiers.change_tier(**rename, actor=marketing)
        assert "the tiers as they were then" in shown(client, moved)
        for who in ("auditor", "finance_ops"):
            assert browse(who).get(address(Tier, "evaluate")).status_code == 403
        assert Entry.objects.filter(verb=ASKED).count() == 1

    def test_the_runbook_leads_to_the_button(self, program: Program, browse: Callable[..., Client]) -> None:
        url = reverse("admin:runbooks_runbook", args=["loyalty-worker-failure"])
        page = browse("admin").get(f"{url}?program_id={program.pk}").content.decode()
        assert address(Tier, "evaluate") in page


class TestRules:
    def test_a_cap_holds_at_once_and_is_switched_off_and_on(
        self, program: Program, browse: Callable[..., Client]
    ) -> None:
        client = browse("ops_marketing")
        press(client, Rule, "new-cap", program=program.pk, name="A day", cap_points=1000, period_days=1)
        cap = Rule.objects.get()
        assert "at most 1,000 points in 1 day" in shown(client, Rule)
        assert "The rule is changed." in press(client, cap, "edit", cap_points=900).content.decode()
        press(client, cap, "switch-off")
        assert "switched off" in shown(client, cap)
        press(client, cap, "switch-on")
        cap.refresh_from_db()
        assert (cap.active, cap.cap_points) == (True, 900)
        assert not Request.objects.exists()

    def test_a_multiplier_is_asked_for_and_carried_out_from_the_page(
        self, program: Program, browse: Callable[..., Client], finance: Actor
    ) -> None:
        client = browse("ops_marketing")
        order = {"program": program.pk, "name": "Double", "multiplier": "2", "starts_at": "2026-01-01T00:00"}
        assert "Others must agree first" in press(client, Rule, "new-multiplier", **order).content.decode()
        assert not Rule.objects.exists()
        assert agree(finance).title in shown(client, Rule)
        assert "The rule Double holds." in press(client, program, "carry-out").content.decode()
        double = Rule.objects.get()
        assert (double.multiplier, double.starts_at) == (2, datetime(2026, 1, 1, tzinfo=UTC))
        assert "Others must agree first" in press(client, double, "switch-off").content.decode()
        agree(finance)
        assert "The rule is changed." in press(client, double, "carry-out").content.decode()
        double.refresh_from_db()
        assert not double.active


def test_who_only_looks_finds_no_button(
    batch: VoucherBatch, program: Program, browse: Callable[..., Client], marketing: Actor
) -> None:
    coffee = rewards.create_reward(program_id=program.pk, name="Coffee", points=100, actor=marketing)
    auditor, nobody = browse("auditor"), browse("dev")
    for row, names in ((batch, ("export", "withdraw")), (coffee, ("edit", "retire"))):
        page = shown(auditor, row)
        assert not any(address(row, name) in page for name in names)
    for model in (VoucherBatch, Voucher, Reward, Redemption, Tier, TierSnapshot, Rule):
        assert auditor.get(address(model, "changelist")).status_code == 200
        assert nobody.get(address(model, "changelist")).status_code == 403
