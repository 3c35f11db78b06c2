"""The main job in a browser: drafted and staged by one, approved by two others, executed, watched, rolled back."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from tests.sandbox_bank.process import BankProcess
from tests.world import World

pytestmark = pytest.mark.browser


def confirm(page: Any) -> None:
    """Read what must be typed, type it, and press the form's button."""
    reason = page.locator("form.ops-confirm #id_reason[required]")
    if reason.count() and not reason.input_value():
        reason.fill("As the runbook says")
    typed = page.locator("#id_typed")
    if typed.count():
        typed.fill(re.search(r"Type (\S+) to confirm", page.inner_text("form.ops-confirm")).group(1))
    with page.expect_navigation():  # the answer to it; without waiting for that, the next look is at the old page
        page.click("form.ops-confirm button[type=submit]")


def press(page: Any, action: str) -> None:
    with page.expect_navigation():  # to its form, before anything is looked for in that
        page.click(f"a[data-action={action}]")
    confirm(page)


def work(run: Run) -> threading.Thread:
    """A worker for one run, on a connection of its own."""

    def drive() -> None:
        try:
            jobs.execute_run(str(run.pk))
        finally:
            connections.close_all()

    worker = threading.Thread(target=drive)
    worker.start()
    return worker


def state(page: Any) -> str:
    return str(page.inner_text(".ops-head .ops-label"))


def test_the_whole_story(world: World, bank: BankProcess, visit: Callable[..., Any]) -> None:
    ops = visit("ops")
    ops.click("text=Plans >> nth=1")
    ops.click("summary:has-text('New plan')")
    ops.click("a[data-action=new-payout-batch]")
    ops.fill("#id_cutoff_date", "2025-08-01")
    ops.fill("#id_total_amount", "2500")
    ops.fill("#id_description", "August, first half")
    ops.click("form.ops-confirm button[type=submit]")
    assert state(ops) == "draft"
    press(ops, "stage")
    assert state(ops) == "staged"
    assert "2,403.72 EUR" in ops.inner_text(".ops-figures")
    assert "other people must approve it" in ops.inner_text("[data-obstacle=approve]")
    assert ops.locator("a[data-action=execute]").count() == 0

    finance = visit("finance_ops")
    finance.click("text=Payout batch")
    finance.click("a[data-action=approve]")
    confirm(finance)
    assert "Approved. Still needed: 1 pay_admin." in finance.inner_text("#main")

    pay = visit("pay_admin2", "pay_admin")
    pay.goto(ops.url)
    press(pay, "approve")
    assert state(pay) == "approved"

    press(pay, "execute")
    run = Run.objects.get()
    assert f"/run/{run.pk}/" in pay.url
    assert "0 of 24 steps" in pay.inner_text("[data-live]")
    worker = work(run)
    pay.wait_for_selector(".ops-head .ops-label:text('succeeded')")  # the page looks again by itself
    worker.join(30)
    assert "24 of 24 steps" in pay.inner_text("#main")
    assert len(bank.payments()) == 24

    pay.goto(ops.url)
    assert state(pay) == "succeeded"
    press(pay, "rollback")
    worker = work(Run.objects.get(direction="rollback"))
    pay.wait_for_selector(".ops-head .ops-label:text('succeeded')")
    worker.join(30)
    pay.goto(ops.url)
    assert state(pay) == "rolled back"
    assert Plan.objects.get().status == "rolled_back"
    assert {payment["status"] for payment in bank.payments()} == {"recalled"}
    assert [*ops.troubles, *finance.troubles, *pay.troubles] == []


def test_pressing_twice_in_a_hurry(world: World, visit: Callable[..., Any], draft: Callable[..., Plan]) -> None:
    plan = draft(total="500")
    page = visit("ops")
    page.goto(f"/admin/plans/plan/{plan.pk}/stage/")
    page.dblclick("form.ops-confirm button[type=submit]")
    page.wait_for_selector(".ops-head .ops-label:text('staged')")
    assert page.troubles == []


def test_an_auditor_has_no_buttons(world: World, visit: Callable[..., Any], draft: Callable[..., Plan]) -> None:
    plan = draft(total="500")
    page = visit("auditor")
    page.goto(f"/admin/plans/plan/{plan.pk}/change/")
    assert page.locator("[data-action]").count() == 0
    answer = page.goto(f"/admin/plans/plan/{plan.pk}/stage/")
    assert answer.status == 403
    assert "You may not do this" in page.inner_text("main")


def test_the_login_page(world: World, visit: Callable[..., Any]) -> None:
    page = visit(None, width=390)
    page.goto("/admin/plans/plan/")
    page.fill("#id_username", "nobody")
    page.fill("#id_password", "wrong")
    page.click("#login-form button[type=submit]")
    assert "correct username and password" in page.inner_text("#page")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert page.troubles == []
