"""Every page in a browser: nothing serious for axe, nothing wider than a phone, nothing said in the browser's console.

The lists, and the page of one row of each model, are found by themselves. `PAGES` names the others: a page that is
new and is neither goes in there, by its address in the console that `seeded` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.urls import reverse

from loyalty.models import Balance, Campaign, FraudRule, Program
from opsconsole.backups.models import Backup
from opsconsole.backups.services.backups import ask_for_backup
from opsconsole.core.admin import display
from opsconsole.core.models import WorkerHeartbeat
from opsconsole.core.roles import ROLES
from opsconsole.journal.jobs import seal_entries
from opsconsole.plans.models import Plan, Run
from opsconsole.plans.services import drafts, staging
from opsconsole.plans.types import registered
from opsconsole.treasury.models import Account, Bank, Payout
from tests.backups.world import failed_backup, verified_backup
from tests.loyalty import doors as loyalty
from tests.world import TESTER, World, add_payouts

pytestmark = pytest.mark.browser

GRAVE = frozenset(("serious", "critical"))
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "resultTypes": ["violations"],
    "selectors": False,  # we show what it found, not a path to it
    # The text of the style sheets serves one rule only, which is none of these.
    "preload": {"assets": ["media"]},
}
CHECK = "rules => axe.run(rules).then(found => found.violations)"
SETTLING = 300  # milliseconds: charts follow their window a moment later
EVERYTHING = ("pay_admin", "admin", "auditor", "ops_marketing", "risk_manager")  # roles that together see every page


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the console of these tests has."""

    drafted: Plan
    staged: Plan  # its second revision
    approved: Plan
    executed: Plan
    run: Run


def of_plan(plan: Plan, *names: str) -> list[str]:
    return [reverse(f"admin:plans_plan_{name}", args=[plan.pk]) for name in names]


# Pages besides the lists and the rows: what makes their addresses, in a console that has what `seeded` says.
PAGES: list[Callable[[Seeded], list[str]]] = [
    lambda _seeded: [reverse("admin:index"), reverse("admin:plans_plan_new-json")],
    lambda _seeded: [reverse(f"admin:plans_plan_new-{plan_type.name.replace('_', '-')}") for plan_type in registered()],
    lambda seeded: of_plan(seeded.drafted, "change", "edit", "stage"),
    lambda seeded: of_plan(seeded.staged, "change", "content", "approve", "reject", "cancel"),
    lambda seeded: of_plan(seeded.approved, "change", "execute"),
    lambda seeded: of_plan(seeded.executed, "change", "content", "rollback", "duplicate"),
    lambda seeded: [reverse("admin:plans_run_change", args=[seeded.run.pk])],
    lambda _seeded: [reverse("admin:backups_backup_make"), *map(display.row_url, Backup.objects.all())],
    lambda _seeded: [f"{reverse('admin:approvals_request_changelist')}?mine=1", "/admin/plans/plan/?q=nothing-like-it"],
    lambda _seeded: [
        f"{reverse('admin:journal_entry_changelist')}?last=day&actor=ops",
        reverse("admin:journal_entry_exports"),
    ],
    lambda _seeded: [reverse("admin:journal_entry_export")],
    lambda _seeded: [
        reverse(f"admin:treasury_{row._meta.model_name}_change", args=[row.pk])
        for row in (
            Bank.objects.get(code="sandbox"),
            Account.objects.filter(bank__code="sandbox", kind="settlement")[0],
            Payout.objects.filter(status="sent")[0],
        )
    ],
    lambda _seeded: [reverse("admin:app_list", args=["plans"]), reverse("admin:login_enrol")],
    lambda _seeded: [reverse("admin:second_factor"), "/admin/treasury/freeze/?q=nothing-like-it"],
    lambda _seeded: [reverse("admin:runbooks_shelf"), reverse("admin:runbooks_alerts"), "/admin/runbooks/?q=nothing"],
    lambda _seeded: [
        reverse("admin:runbooks_alert", args=["LoyaltyCampaignStuck"]),
        reverse("admin:runbooks_runbook", args=["loyalty-campaign-launch"]),
        f"{reverse('admin:runbooks_runbook', args=['loyalty-performance'])}?run=diagnostic-table-reads",
        f"{reverse('admin:runbooks_runbook', args=['loyalty-dispute'])}?run=diagnostic-member&user_id=nobody",
    ],
    lambda _seeded: [reverse("admin:approvals_signerkey_register"), reverse("admin:treasury_payout_import")],
    lambda _seeded: [
        reverse("admin:loyalty_campaign_new"),
        reverse("admin:loyalty_voucherbatch_new"),
        reverse("admin:loyalty_voucherbatch_look-up"),
        reverse("admin:loyalty_tier_new"),
        reverse("admin:loyalty_rule_new-multiplier"),
        reverse("admin:loyalty_program_budget", args=[Program.objects.get(name="Club").pk]),
        f"{reverse('admin:loyalty_program_change', args=[Program.objects.get(name='Club').pk])}?period=all",
        f"{reverse('admin:loyalty_program_liability')}?program={Program.objects.get(name='Club').pk}&as_of=2999-01-01",
        reverse("admin:loyalty_balance_adjust", args=[Balance.objects.get(user_id="alice", program__name="Club").pk]),
        reverse("admin:loyalty_balance_change", args=[Balance.objects.get(user_id="frozen", program__name="Club").pk]),
        reverse("admin:loyalty_dispute_new"),
        reverse("admin:loyalty_fraudhit_dismiss-several"),
        reverse("admin:loyalty_fraudrule_edit", args=[FraudRule.objects.get(code="shared_address").pk]),
        reverse("admin:loyalty_fraudrule_change", args=[FraudRule.objects.get(code="frequent_earner").pk]),
        *(
            reverse("admin:loyalty_campaign_change", args=[row.pk])
            for row in Campaign.objects.filter(name__in=["Drafted", "Runs", "Done"])
        ),
    ],
]


def found_by_themselves() -> Iterator[str]:
    """The list of each model, and the page of one row where there is one."""
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        row = model._default_manager.first()
        if row is not None:
            yield reverse(f"{name}_change", args=[row.pk])


@pytest.fixture
def seeded(
    world: World,
    executed: Callable[..., tuple[Plan, Run]],
    approved: Callable[..., Plan],
    draft: Callable[..., Plan],
    person: Callable[..., Any],
) -> Seeded:
    """A row of nearly everything, a plan in each state that has a page of its own."""
    plan, run = executed(total="500")
    ready = approved("plan-2", total="300")
    add_payouts(count=4, amount=10, actor=TESTER, prefix="ALIKE")
    staged = draft("plan-3", total="200")
    staging.stage_plan(plan_id=staged.pk, actor=person("ops"))
    drafts.return_to_draft(plan_id=staged.pk, reason="too little", actor=person("ops"))
    payload = {**staged.payload, "total_amount": "260"}
    drafts.edit_plan(plan_id=staged.pk, changes={"payload": payload, "name": "Another name"}, actor=person("ops"))
    staging.stage_plan(plan_id=staged.pk, actor=person("ops"))
    drafted = draft("plan-4", total="100")
    loyalty.furnish({role: person(role) for role in ROLES})
    WorkerHeartbeat.objects.create(name="worker:here:1", kind="worker", queues="plans")
    verified_backup(person("ops"))
    failed_backup(person("ops"))
    ask_for_backup(reason="", actor=person("ops"))
    seal_entries()
    for one in (plan, ready, staged, drafted, run):
        one.refresh_from_db()
    return Seeded(drafted, staged, ready, plan, run)


def too_wide(page: Any, url: str) -> list[str]:
    """Whether the page is wider than its window."""
    wider = excess(page)
    return [f"{url}: {wider} px too wide at {page.viewport_size['width']}"] if wider else []


def excess(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def follow(page: Any) -> None:
    """Let the page follow its window where it takes a moment: it has a chart, or is too wide as it stands."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    if page.locator("canvas").count() or excess(page):
        page.wait_for_timeout(SETTLING)


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1400, True)])
def test_every_page(seeded: Seeded, visit: Callable[..., Any], width: int, dark: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit("everybody", *EVERYTHING, width=width, dark=dark)
    urls = [url for pages in PAGES for url in pages(seeded)]
    if not dark:  # lists and rows are made of the same parts: once is enough
        urls += found_by_themselves()
        assert len(urls) > 40
    wrong: list[str] = []
    for url in dict.fromkeys(urls):
        answer = page.goto(url)
        if answer.status != 200:
            wrong.append(f"{url}: {answer.status}")
            continue
        page.evaluate(axe.axe_script)
        for violation in page.evaluate(CHECK, RULES):
            if violation["impact"] in GRAVE:
                where = "; ".join(node["html"][:160] for node in violation["nodes"][:3])
                wrong.append(f"{url}: {violation['id']}: {where}")
        wrong += too_wide(page, url)
        if width > 390:
            page.set_viewport_size({"width": 390, "height": 850})
            follow(page)
            wrong += too_wide(page, url)
            page.set_viewport_size({"width": width, "height": 850})
    assert wrong == [], "\n".join(wrong)
    assert page.evaluate("document.documentElement.classList.contains('dark')") == dark
    assert page.troubles == []
