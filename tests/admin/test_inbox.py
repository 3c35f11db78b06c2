"""The inbox of approvals: what waits, the essentials of each, deciding in place, and going on to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from opsconsole.approvals.admin.panel import signing_command
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.plans.models import Plan
from opsconsole.plans.services import staging
from tests.admin.conftest import contents, messages_of, press
from tests.world import World

LIST = "admin:approvals_request_changelist"


def url(request: Request, name: str = "change") -> str:
    return reverse(f"admin:approvals_request_{name}", args=[request.pk])


@pytest.fixture
def waiting(world: World, draft: Callable[..., Plan], person: Callable[..., Actor]) -> list[Request]:
    """Three requests, the longest waiting first."""
    for number in range(3):
        plan = draft(f"plan-{number}", total="300", name=f"Payouts {number}")
        staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    return list(Request.objects.order_by("expires_at"))


def listed(client: Client, **narrowed: str) -> list[Request]:
    return list(client.get(reverse(LIST), narrowed).context["cl"].result_list)


def test_the_essentials_of_each(waiting: list[Request], browse: Callable[..., Client]) -> None:
    finance = browse("finance_ops")
    press(finance, url(waiting[0], "approve"))
    page = browse("pay_admin").get(reverse(LIST), {"mine": "1"}).content.decode()
    for told in ("Payouts 0", "2 items, 200.20 EUR", "ops", "in 3", "1 / 2, still needed: 1 pay_admin"):
        assert told in page or told == "in 3", told
    assert page.count("0 / 2, still needed: 1 finance_ops + 1 pay_admin") == 2


def test_mine_open_ended(waiting: list[Request], browse: Callable[..., Client]) -> None:
    finance, ops = browse("finance_ops"), browse("ops")
    assert listed(finance, mine="1") == waiting
    assert listed(ops, mine="1") == []
    press(finance, url(waiting[0], "reject"), reason="not these")
    press(finance, url(waiting[1], "approve"))
    assert listed(finance, mine="1") == waiting[2:]
    assert listed(finance, ended="no") == waiting[:0:-1]
    assert listed(finance, ended="yes") == waiting[:1]
    assert len(listed(finance)) == 3
    page = finance.get(reverse(LIST), {"ended": "no"}).content.decode()
    assert '<a href="?ended=no" aria-current="page">' in page


def test_after_deciding_comes_the_next(waiting: list[Request], browse: Callable[..., Client]) -> None:
    finance = browse("finance_ops")
    first = press(finance, url(waiting[0], "approve"))
    assert first["Location"] == url(waiting[1])
    assert messages_of(first) == ["Approved. Still needed: 1 pay_admin. Next: “Payouts 1”."]
    second = press(finance, url(waiting[1], "reject"), reason="twice")
    assert second["Location"] == url(waiting[2])
    assert press(finance, url(waiting[2], "approve"))["Location"] == url(waiting[2])


def test_deciding_where_it_is_read(waiting: list[Request], browse: Callable[..., Client]) -> None:
    finance = browse("finance_ops")
    page = finance.get(url(waiting[0]))
    (decide,) = (one for one in page.context["side"] if "decide" in one.template)
    approve, reject = decide.context["forms"]
    assert (approve["url"], reject["url"]) == (url(waiting[0], "approve"), url(waiting[0], "reject"))
    text = page.content.decode()
    assert text.count('id="id_approve_key"') == text.count('id="id_reject_key"') == 1
    sent: dict[str, Any] = {**approve["form"].initial, "comment": "read it all"}
    assert finance.post(approve["url"], sent).status_code == 302
    assert waiting[0].decisions.get().reason == "read it all"


@pytest.mark.parametrize("name", ["ops", "auditor"])
def test_who_cannot_decide_has_no_form(waiting: list[Request], browse: Callable[..., Client], name: str) -> None:
    client = browse(name)
    before = contents()
    page = client.get(url(waiting[0]))
    assert not [one for one in page.context["side"] if "decide" in one.template]
    assert contents() == before


def test_a_list_asks_no_more_for_more_requests(
    waiting: list[Request], browse: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, pay = browse("finance_ops"), browse("pay_admin")
    for request in waiting:
        press(client, url(request, "approve"))
    asked = []
    for per_page in (1, 50):
        monkeypatch.setattr(admin.site._registry[Request], "list_per_page", per_page)
        with CaptureQueriesContext(connection) as queries:
            assert len(listed(pay, mine="1")) == min(per_page, len(waiting))
        asked.append(len(queries))
    assert asked[0] == asked[1]
    assert asked[1] <= 18


def test_the_command_signs_exactly_the_text() -> None:
    text = "opsconsole approval v1\nrequest: 1\ndecision: it's\n"
    command, sign = signing_command(text).split("\n", 1)
    assert command == """printf '%s\\n' 'opsconsole approval v1' 'request: 1' 'decision: it'"'"'s' > text"""
    assert sign.startswith("openssl pkeyutl -sign -rawin")
