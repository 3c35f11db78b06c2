"""A plan of each other type with a mouse: drafted by form, staged, approved by others, executed, rolled back."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from opsconsole.plans.models import Plan, Run
from opsconsole.treasury.models import Account, Bank, Freeze, Route
from opsconsole.treasury.services import banks
from opsconsole.treasury.services.banks import BankFacts
from tests.api.conftest import ask
from tests.api.unchanged import Ask, unchanged
from tests.browser.test_story import confirm, press, state, work
from tests.sandbox_bank.process import OUR_IBAN, BankProcess
from tests.world import PAYEES, TESTER, World

__all__ = ["ask"]

pytestmark = pytest.mark.browser

SECOND_IBAN = "DE02120300000000202051"


@pytest.fixture
def second(world: World, bank: BankProcess) -> Account:
    """An account with money at a second bank."""
    facts = BankFacts(
        code="sandbox2",
        name="Second Bank",
        bic="BYLADEM1001",
        gateway="http",
        base_url=bank.base_url,
        key_id=BankProcess.key_id,
        secret=bank.secret,
    )
    made = banks.set_up_bank(facts=facts, actor=TESTER)
    account = banks.open_account(bank_id=made.pk, name="Second", iban=SECOND_IBAN, currency="EUR", actor=TESTER)
    banks.fund_account(account_id=account.pk, amount=Decimal(1_000_000), reference="second", actor=TESTER)
    bank.open_account(SECOND_IBAN)
    return account


def fill_sweep(page: Any) -> None:
    page.select_option("#id_source_bank", "sandbox2")
    page.select_option("#id_target_account", OUR_IBAN)
    page.fill("#id_keep_minimum", "100000")


def fill_failover(page: Any) -> None:
    page.select_option("#id_from_bank", "sandbox")
    page.select_option("#id_to_bank", "sandbox2")


def fill_freeze(page: Any) -> None:
    page.check("input[name=subject][value=beneficiary]")
    page.fill("#id_id", PAYEES[0])
    page.fill("#id_reason", "The mailbox of the payee was taken over")


def fill_pause(page: Any) -> None:
    page.select_option("#id_bank", "sandbox")
    page.fill("#id_reason", "It answers errors since 08:40")


def closed_doors() -> dict[str, Any]:
    """What these plans change, as it is now."""
    return {
        "banks": dict(Bank.objects.values_list("code", "status")),
        "routes": dict(Route.objects.values_list("id", "account__iban")),
        "freezes": Freeze.objects.filter(lifted_at=None).count(),
    }


# Who approves, what the impact says, what the plan changed, and whether undoing takes two others.
STORIES: list[tuple[str, Callable[[Any], None], tuple[str, ...], str, dict[str, Any], bool]] = [
    ("sweep", fill_sweep, ("finance_ops", "pay_admin"), "900,000.00", {}, False),
    ("failover", fill_failover, ("ops2", "pay_admin"), "40", {"routes": SECOND_IBAN}, False),
    ("freeze", fill_freeze, ("ops2",), PAYEES[0], {"freezes": 1}, True),
    ("pause-bank", fill_pause, ("finance_ops",), "Sandbox Bank", {"banks": "paused"}, True),
]


def test_one_of_each_other_type(world: World, second: Account, bank: BankProcess, visit: Callable[..., Any]) -> None:
    people = {"ops": visit("ops"), "ops2": visit("ops2", "ops")}
    people |= {name: visit(name) for name in ("finance_ops", "pay_admin")}
    before = closed_doors()
    for name, fill, approvers, shown, changed, guarded in STORIES:
        author = people["ops"]
        author.goto("/admin/plans/plan/")
        author.click("summary:has-text('New plan')")
        author.click(f"a[data-action=new-{name}]")
        fill(author)
        confirm(author)
        assert state(author) == "draft"
        press(author, "stage")
        assert state(author) == "staged"
        assert shown in author.inner_text("#main")
        assert "other people must approve it" in author.inner_text("[data-obstacle=approve]") or len(approvers) == 1
        where = author.url
        for approver in approvers:
            page = people[approver]
            page.goto(where)
            press(page, "approve")
        assert state(page) == "approved"

        executor = people["pay_admin"]
        plan = follow(executor, where, "execute")
        assert (plan.plan_type, plan.status) == (name.replace("-", "_"), "succeeded")
        now = closed_doors()
        assert {key for key in before if now[key] != before[key]} == set(changed)

        if guarded:
            author.goto(where)
            press(author, "rollback")
            assert "takes approvals of its own" in author.inner_text("#main")
            asked = author.url  # the page of the request
            for approver in ("finance_ops", "pay_admin"):
                people[approver].goto(asked)
                people[approver].click("form[action$='/approve/'] button[type=submit]")
                people[approver].wait_for_selector("text=Approved")
            executor = author
        plan = follow(executor, where, "rollback")
        assert plan.status == "rolled_back"
        assert closed_doors() == before
    assert [payment["status"] for payment in bank.payments()] == ["recalled"]
    assert [trouble for page in people.values() for trouble in page.troubles] == []


def follow(page: Any, where: str, action: str) -> Plan:
    """Press it, and watch the run until it has ended."""
    page.goto(where)
    press(page, action)
    run = Run.objects.order_by("-pk").first()
    assert run is not None
    worker = work(run)
    page.goto(reverse("admin:plans_run_change", args=[run.pk]))
    page.wait_for_selector(".ops-head .ops-label:text('succeeded')")
    worker.join(30)
    return Plan.objects.get(pk=run.plan_id)


def test_an_auditor_sees_everything_and_changes_nothing(
    world: World, visit: Callable[..., Any], approved: Callable[..., Plan], ask: Ask
) -> None:
    plan = approved(total="500")
    page = visit("auditor")
    menu = page.eval_on_selector_all("#nav-sidebar a", "links => links.map(link => link.getAttribute('href'))")
    lists = [path for path in menu if path and path.startswith("/admin/") and path != "/admin/"]
    assert len(lists) > 20
    buttons: set[str] = set()

    def look(path: str) -> None:
        answer = page.goto(path)
        assert answer.status == 200, path
        names = "found => found.map(one => one.dataset.action)"
        buttons.update(page.eval_on_selector_all("[data-action]", names))

    with unchanged(ask):
        for path in lists:
            look(path)
            row = page.locator("#result_list tbody th a, #result_list tbody td a").first
            if row.count():
                look(row.get_attribute("href"))
        page.goto(f"/admin/plans/plan/{plan.pk}/change/")
        token = next(one["value"] for one in page.context.cookies() if one["name"] == "csrftoken")
        for action in ("stage", "approve", "reject", "execute", "cancel", "rollback", "break-glass"):
            sent = page.request.post(
                f"/admin/plans/plan/{plan.pk}/{action}/", form={"csrfmiddlewaretoken": token, "key": "k"}
            )
            assert sent.status == 403, action
    # Their own password and tokens; and what reads, and is journalled when it is pressed.
    assert buttons <= {"password", "new", "end", "export", "verify", "evidence", "look-up"}, buttons
