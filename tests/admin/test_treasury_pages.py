"""The pages of banks, accounts and payouts: what is on its way, what moved, which plans are drafted from them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from opsconsole.core.actors import Actor
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import decisions, execution, staging
from opsconsole.treasury import movements
from opsconsole.treasury.models import Account, Bank, Instruction, Leg, Payout
from opsconsole.treasury.promises import promised_from
from tests.admin.conftest import contents, press
from tests.world import ISO_IBAN, TESTER, World, add_payouts

Executed = Callable[..., tuple[Plan, Run]]
LEG = re.compile(r"\?before=([0-9a-f-]{36})")
DRAFT = re.compile(r'href="(/admin/plans/plan/new-[^"]+)"')
FROM_BANK, FROM_ACCOUNT = ["new-failover", "new-pause-bank", "new-sweep"], ["new-freeze", "new-sweep"]


def url(row: Any) -> str:
    return reverse(f"admin:treasury_{row._meta.model_name}_change", args=[row.pk])


def drafts(client: Client, row: Any) -> dict[str, str]:
    """The prefilled forms that a page leads to, by the kind of plan."""
    found = [unescape(address) for address in DRAFT.findall(client.get(url(row)).content.decode())]
    return {address.split("/")[4]: address for address in found}


def section(page: Any, title: str) -> Any:
    """The section of a page with this title."""
    every = [*page.context["sections"], *page.context["side"], *page.context["foot"]]
    return next(one for one in every if str(one.title).startswith(title))


def words(cell: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", str(cell)).split())


def test_a_bank_tells_what_is_on_its_way(
    world: World, executed: Executed, approved: Callable[..., Plan], browse: Callable[..., Client]
) -> None:
    executed(total="500")
    approved("plan-2", total="300")
    page = browse("auditor").get(url(world.http))
    rows = {words(row[0]): row for row in section(page, "On its way").rows}
    for status in ("planned", "sent"):
        known = Instruction.objects.filter(bank=world.http, status=status)
        total = sum(one.amount for one in known)
        assert (words(rows[status][1]), words(rows[status][2])) == (str(known.count()), f"{total:,.2f} EUR")
    chart = json.loads(section(page, "Payments, last").context["data"])
    assert chart["datasets"][0]["data"][-1] == Instruction.objects.filter(bank=world.http, status="sent").count()
    assert sum(chart["datasets"][1]["data"]) == 0
    assert words(section(page, "How it answered last").rows[0][0]) == "handed to the bank"
    other = browse("auditor").get(url(world.iso))
    assert section(other, "On its way").rows == []


def test_more_than_can_be_counted_is_said(
    world: World, executed: Executed, browse: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    executed(total="500")
    monkeypatch.setattr(movements, "MOST_IN_FLIGHT", 3)
    page = browse("auditor").get(url(world.http))
    assert [words(cell) for cell in section(page, "On its way").rows[0][:3]] == ["sent", "3 or more", "–"]


def test_a_paused_bank_says_by_which_plan(
    world: World, draft: Callable[..., Plan], person: Callable[..., Actor], browse: Callable[..., Client]
) -> None:
    payload = {"bank": "sandbox", "reason": "answers nothing"}
    plan = draft("pause-1", plan_type="pause_bank", name="Pause it", payload=payload)
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    decisions.approve_plan(plan_id=plan.pk, signature="", comment="", actor=person("pay_admin"))
    run = execution.execute_plan(plan_id=plan.pk, actor=person("pay_admin"))
    jobs.execute_run(str(run.pk))
    assert Bank.objects.get(pk=world.http.pk).status == "paused"
    client = browse("pay_admin")
    page = client.get(url(world.http))
    told = words(section(page, "Paused: nothing new").text)
    assert "By the plan Pause it" in told
    assert "answers nothing" in told
    was = section(page, "Paused and opened").rows[0]
    assert [words(cell) for cell in was[:3]] == ["Pause it", "active", "paused"]
    assert sorted(drafts(client, world.http)) == ["new-failover", "new-sweep"]


def test_plans_are_drafted_from_pages(world: World, browse: Callable[..., Client]) -> None:
    client = browse("ops")
    reason, to_file = {"reason": "seen at night"}, {"target_account": ISO_IBAN, "keep_minimum": "0.00"}
    payout = Payout.objects.get(external_id="PAY-00001")
    wanted: list[tuple[Any, str, dict[str, Any], dict[str, Any]]] = [
        (world.http, "new-pause-bank", reason, {"bank": "sandbox", **reason}),
        (world.http, "new-failover", {"to_bank": "filebank"}, {"from_bank": "sandbox", "to_bank": "filebank"}),
        (world.http, "new-sweep", to_file, {"source_bank": "sandbox", "currency": "EUR"}),
        (world.account, "new-freeze", reason, {"subject": "account", "id": str(world.account.pk), **reason}),
        (world.account, "new-sweep", to_file, {"source_accounts": [world.account.iban]}),
        (payout, "new-freeze", reason, {"subject": "beneficiary", "id": payout.iban, **reason}),
    ]
    for row, name, typed, payload in wanted:
        answer = press(client, drafts(client, row)[name], **typed)
        assert answer.status_code == 302, (name, answer.context["form"].errors)
        plan = Plan.objects.latest("created_at")
        assert payload.items() <= plan.payload.items(), plan.payload
    assert Plan.objects.count() == len(wanted)


def test_who_drafts_no_plan_sees_no_such_button(world: World, browse: Callable[..., Client]) -> None:
    before = contents()
    auditor, ops = browse("auditor"), browse("ops")
    for row, names in (
        (world.http, FROM_BANK),
        (world.account, FROM_ACCOUNT),
        (Payout.objects.first(), ["new-freeze"]),
    ):
        address = drafts(ops, row)
        assert sorted(address) == names
        assert drafts(auditor, row) == {}
        for form in address.values():
            assert auditor.get(form).status_code == 403
            assert auditor.post(form, {"reason": "x"}).status_code == 403
    funding = Account.objects.get(bank=world.http, kind="funding")
    assert drafts(ops, funding) == {}
    assert {**contents(), "core_user": "", "journal_entries": ""} == {
        **before,
        "core_user": "",
        "journal_entries": "",
    }


def test_an_account_tells_what_is_free(
    world: World, executed: Executed, approved: Callable[..., Plan], browse: Callable[..., Client]
) -> None:
    executed(total="500")
    approved("plan-2", total="300")
    account = Account.objects.get(pk=world.account.pk)
    promised = promised_from(account.pk)
    assert promised > 0
    page = browse("auditor").get(url(account))
    told = {str(name): words(value) for name, value, _link in section(page, "Now").figures}
    assert told["balance by the ledger"] == f"{account.ledger_balance:,.2f} EUR"
    assert told["promised by plans"] == f"{promised:,.2f} EUR"
    assert told["free"] == f"{account.ledger_balance - promised:,.2f} EUR"
    line = json.loads(section(page, "Balance, last").context["data"])["datasets"][0]["data"]
    assert (line[0], line[-1]) == (0.0, float(account.ledger_balance))


def test_movements_are_paged_to_the_last(world: World, executed: Executed, browse: Callable[..., Client]) -> None:
    executed(total="4000")
    client, address, seen = browse("auditor"), url(world.account), []
    for _page in range(5):
        page = client.get(address)
        table = next(one for one in page.context["foot"] if "ovements" in str(one.title))
        seen += [words(row[3]) for row in table.rows]
        found = LEG.search(table.more.url) if table.more else None
        if found is None:
            break
        address = f"{url(world.account)}?before={found[1]}"
    legs = Leg.objects.filter(account=world.account).order_by("-id")
    assert legs.count() > 25
    assert seen == [leg.transfer.reference for leg in legs.select_related("transfer")]
    assert client.get(f"{url(world.account)}?before=nonsense").status_code == 200


def test_a_payout_tells_its_story(world: World, executed: Executed, browse: Callable[..., Client]) -> None:
    executed(total="500")
    add_payouts(count=1, amount=Decimal(77), actor=TESTER, prefix="ALIKE")
    paid = Instruction.objects.filter(status="sent").select_related("payout").first()
    assert paid is not None
    page = browse("auditor").get(url(paid.payout))
    story = section(page, "Its story")
    assert [words(row[1]) for row in story.rows] == ["came in", "taken by a plan", "handed to the bank"]
    assert paid.bank_reference in words(story.rows[2][3])
    narrow = browse("trader").get(url(paid.payout))
    assert narrow.status_code == 403


def test_likely_duplicates_are_linked(world: World, browse: Callable[..., Client], superuser: Any) -> None:
    first, second, late = Payout.objects.order_by("id")[:3]
    superuser.execute("set session_replication_role = replica")
    for twin, days in ((second, 3), (late, 30)):
        superuser.execute(
            "update treasury_payouts set iban = %s, amount = %s, due_date = %s where id = %s",
            [first.iban, first.amount, first.due_date + timedelta(days=days), twin.pk],
        )
    client = browse("auditor")
    rows = section(client.get(url(first)), "Likely duplicates").rows
    assert [words(row[0]) for row in rows] == [second.external_id]
    assert url(second) in str(rows[0][0])


def test_a_chart_shows_whole_days_only(world: World, executed: Executed, monkeypatch: pytest.MonkeyPatch) -> None:
    executed(total="500")
    today = datetime.now(UTC).date()
    legs = Leg.objects.filter(account=world.account).count()
    days = movements.by_day([world.account.pk], today=today)
    assert len(days) == movements.DAYS
    assert sum(day.came + day.left for day in days) == legs
    assert movements.closing_balances(days, Decimal(10))[-1] == Decimal(10)
    monkeypatch.setattr(movements, "MOST_LEGS", 2)
    assert movements.by_day([world.account.pk], today=today) == []
    assert Bank.objects.count() == 2
