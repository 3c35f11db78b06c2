"""Every page, for every role: seen, forbidden or not found; and never anything changed by looking."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import reverse
from django.utils import timezone
from guardian.shortcuts import assign_perm

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.admin import paging
from opsconsole.core.models import OutboxEvent, WorkerHeartbeat
from opsconsole.core.operations import operation
from opsconsole.core.roles import ROLES
from opsconsole.identity.second_factor import code_at, enrol, new_secret
from opsconsole.journal import proofs
from opsconsole.journal.jobs import seal_entries
from opsconsole.journal.models import Entry
from opsconsole.monitoring.services.checklists import tick_item
from opsconsole.monitoring.services.incidents import open_incident
from opsconsole.monitoring.states import Severity
from opsconsole.plans import jobs
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.services import break_glass, drafts, freezing, staging
from opsconsole.plans.services.drafts import Draft
from opsconsole.plans.services.freezing import CalendarDraft
from opsconsole.treasury.models import Account, Bank, Payout
from opsconsole.treasury.services.bank_files import import_bank_file
from tests.access.conftest import savepoint
from tests.admin.conftest import browsing, contents
from tests.backups.world import verified_backup
from tests.conftest import make_person
from tests.loyalty import doors as loyalty
from tests.notifications.world import furnish
from tests.plans.conftest import approving, drafting, executing
from tests.sandbox_bank.process import BankProcess
from tests.treasury.bank_files.conftest import entry, statement
from tests.world import ISO_IBAN, TESTER, World, add_payouts, build

SEE_PLANS = {"pay_admin", "finance_ops", "ops", "auditor"}
SEE_LOYALTY = {"finance_ops", "ops", "auditor", "ops_marketing", "risk_manager", "admin"}
AGREE_IN_LOYALTY = {"ops_marketing", "risk_manager"}  # they see the requests of loyalty, and their own keys and news

# Who may see the pages of a model. A model that is not in it fails the tests.
SEEN_BY: dict[str, set[str]] = {
    "plans.plan": SEE_PLANS,
    "plans.run": SEE_PLANS,
    "plans.step": SEE_PLANS,
    "plans.calendar": SEE_PLANS,
    "approvals.request": SEE_PLANS | {"admin"} | AGREE_IN_LOYALTY,
    "changes.change": SEE_PLANS | {"admin"},
    "knox.authtoken": {*ROLES, "nobody"},
    "approvals.policy": SEE_PLANS | {"admin"},
    "approvals.review": SEE_PLANS,
    "approvals.signerkey": SEE_PLANS | {"admin"} | AGREE_IN_LOYALTY,
    "treasury.bank": SEE_PLANS,
    "treasury.account": SEE_PLANS,
    "treasury.payout": SEE_PLANS,
    "treasury.instruction": SEE_PLANS,
    "treasury.route": SEE_PLANS,
    "treasury.sweep": SEE_PLANS,
    "treasury.freeze": SEE_PLANS,
    "treasury.bankfile": SEE_PLANS,
    "treasury.break": SEE_PLANS,
    "treasury.transfer": SEE_PLANS,
    "loyalty.program": SEE_LOYALTY,
    "loyalty.budgetalert": SEE_LOYALTY,
    "loyalty.campaign": SEE_LOYALTY,
    "loyalty.balance": SEE_LOYALTY,
    "loyalty.transaction": SEE_LOYALTY,
    "loyalty.rule": SEE_LOYALTY,
    "loyalty.tier": SEE_LOYALTY,
    "loyalty.tiersnapshot": SEE_LOYALTY,
    "loyalty.voucherbatch": SEE_LOYALTY,
    "loyalty.voucher": SEE_LOYALTY,
    "loyalty.reward": SEE_LOYALTY,
    "loyalty.redemption": SEE_LOYALTY,
    "loyalty.fraudhit": SEE_LOYALTY,
    "loyalty.fraudrule": SEE_LOYALTY,
    "loyalty.sirafeedback": SEE_LOYALTY,
    "loyalty.dispute": SEE_LOYALTY,
    "journal.entry": SEE_PLANS | {"admin"},
    "journal.checkpoint": SEE_PLANS | {"admin"},
    "backups.backup": {"ops", "auditor", "dev", "admin"},
    "monitoring.incident": SEE_PLANS | {"admin"},
    "monitoring.check": SEE_PLANS | {"admin"},
    "notifications.channel": {"ops", "auditor", "admin"},
    "notifications.subscription": SEE_PLANS | {"admin"} | AGREE_IN_LOYALTY,
    "notifications.delivery": {"ops", "auditor", "admin"},
    "core.user": {"auditor", "admin", "pay_admin"},
    "identity.secondfactor": {"auditor", "admin"},
    "core.workerheartbeat": {"auditor", "admin"},
    "core.outboxevent": {"auditor", "admin"},
}


def list_url(label: str) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_changelist")


def page_url(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def a_row_of_each() -> Iterator[tuple[str, Any]]:
    for model in admin.site._registry:
        row = model._default_manager.first()
        if row is not None:
            yield model._meta.label_lower, row


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the artifacts of the whole module are."""
    return tmp_path_factory.mktemp("artifacts")


def _storages(folder: Path) -> dict[str, Any]:
    backend = "django.core.files.storage.FileSystemStorage"
    return {**settings.STORAGES, "artifacts": {"BACKEND": backend, "OPTIONS": {"location": folder}}}


@pytest.fixture(autouse=True)
def artifacts(settings: Any, folder: Path) -> Path:
    """What `full` has stored is there in each test."""
    settings.STORAGES = _storages(folder)
    return folder


@pytest.fixture(scope="module")
def everything(committed: None, django_db_blocker: Any, shared_bank: BankProcess, folder: Path) -> World:
    """A row of everything, made once."""
    shared_bank.reset()
    shared_bank.open_account()
    with django_db_blocker.unblock(), override_settings(STORAGES=_storages(folder)):
        return _furnished(shared_bank)


def _furnished(bank: BankProcess) -> World:
    """A plan that ran, one that is approved, sealed entries, a worker."""
    world = build(base_url=bank.base_url, secret=bank.secret, balance=Decimal(1_000_000), actor=TESTER)
    add_payouts(count=40, amount=Decimal(100), actor=TESTER)
    approved = approving(drafting(make_person), make_person)
    executing(approved, make_person)(total="500")
    approved("plan-2", total="300")
    WorkerHeartbeat.objects.create(name="worker:here:1", kind="worker", queues="plans")
    furnish(admin=make_person("admin"), person=make_person("finance_ops"))
    _sweep_and_statement(make_person)
    _freeze_and_watch(make_person)
    loyalty.furnish({role: make_person(role) for role in ROLES})
    seal_entries()
    return world


@pytest.fixture
def full(everything: World, django_db_blocker: Any) -> Iterator[World]:
    """In the world that has a row of everything, and back: what a test writes there, no other test sees."""
    with django_db_blocker.unblock(), savepoint():
        yield everything
        transaction.set_rollback(True)


@pytest.fixture
def browse(full: World) -> Callable[..., Client]:
    """A browser in there, in which somebody is logged in."""
    return browsing(make_person)


def _sweep_and_statement(person: Callable[..., Actor]) -> None:
    """A sweep that is staged, and a bank's file with a break in it."""
    payload = {
        "currency": "EUR", "source_bank": "sandbox", "target_account": ISO_IBAN, "keep_minimum": "900000",
    }  # fmt: skip
    draft = Draft(external_id="sweep-1", name="Sweep", plan_type="sweep", payload=payload)
    plan, _ = drafts.create_plan(draft=draft, actor=person("finance_ops"))
    staging.stage_plan(plan_id=plan.pk, actor=person("finance_ops"))
    content = statement(entry("NOTPROVIDED", "7.00"))
    import_bank_file(stream=io.BytesIO(content), name="statement.xml", actor=person("finance_ops"))


def _freeze_and_watch(person: Callable[..., Actor]) -> None:
    """A merchant frozen in an emergency, which is to be reviewed; a calendar, an incident, a check, a second factor."""
    ops = person("ops")
    payload = {"subject": "merchant", "id": "M-1", "reason": "taken over"}
    draft = Draft(external_id="freeze-1", name="Freeze", plan_type="freeze", payload=payload)
    plan, _ = drafts.create_plan(draft=draft, actor=ops)
    staging.stage_plan(plan_id=plan.pk, actor=ops)
    run = break_glass.break_glass(plan_id=plan.pk, incident="INC-1", reason="taken over", actor=ops)
    jobs.execute_run(str(run.pk))
    calendar = CalendarDraft(name="Weekend", reason="x", plan_types=["sweep"], ends_at=timezone.now() + timedelta(1))
    freezing.create_calendar(draft=calendar, actor=person("pay_admin"))
    verified_backup(ops)
    open_incident(title="Slow", severity=Severity.WARNING, description="", actor=ops)
    tick_item(item="metrics_checked", in_order=True, note="looked at", actor=ops)
    code = code_at(secret := new_secret(), timezone.now())
    enrol(secret=secret, code=code, current="", address="192.0.2.1", actor=person("newcomer"))


def test_the_table_names_every_model() -> None:
    assert set(SEEN_BY) == {model._meta.label_lower for model in admin.site._registry}


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_pages_by_role(full: World, browse: Callable[..., Client], role: str) -> None:
    """And whoever looks at all of it, nothing is changed by that."""
    client = browse(role)
    before = contents()
    _sees_what_its_role_shows(client, role)
    assert contents() == before


def _sees_what_its_role_shows(client: Client, role: str) -> None:
    home = client.get(reverse("admin:index"))
    assert home.status_code == 200
    menu = home.content.decode()
    rows = dict(a_row_of_each())
    assert SEEN_BY.keys() - rows.keys() <= {"changes.change", "knox.authtoken", "approvals.signerkey"}
    for label, seen_by in SEEN_BY.items():
        allowed = role in seen_by
        assert (f'href="{list_url(label)}"' in menu) == allowed, (role, label)
        assert client.get(list_url(label)).status_code == (200 if allowed else 403), (role, label)
        if label in rows:
            expected = 200 if allowed else 403
            if label == "notifications.subscription" and role in {"pay_admin", "finance_ops", "ops"} | AGREE_IN_LOYALTY:
                expected = 404  # it is a role's; of those who only subscribe each sees their own
            if label == "approvals.request" and role in AGREE_IN_LOYALTY:
                expected = 404  # it is about a plan
            assert client.get(page_url(rows[label])).status_code == expected, label


def test_the_front_page_tells_how_things_stand(full: World, browse: Callable[..., Client]) -> None:
    with CaptureQueriesContext(connection) as queries:
        page = browse("ops").get(reverse("admin:index")).content.decode()
    assert len(queries) <= 75
    for told in ("Waiting for my approval", "Live runs", "Unknown steps", "last checkpoint", "worker", "payable"):
        assert told.lower() in page.lower(), told
    nothing = browse("dev").get(reverse("admin:index")).content.decode()
    assert "nothing to see here yet" in nothing
    assert "payable" not in nothing


def test_the_page_of_an_app(full: World, browse: Callable[..., Client]) -> None:
    auditor, developer = browse("auditor"), browse("dev")
    for app in ("plans", "approvals", "treasury", "journal", "core"):
        assert auditor.get(reverse("admin:app_list", args=[app])).status_code == 200, app
        assert developer.get(reverse("admin:app_list", args=[app])).status_code == 404, app


def test_refusals_are_pages_of_ours(browse: Callable[..., Client]) -> None:
    client = browse("dev")
    assert "You may not do this" in client.get(list_url("plans.plan")).content.decode()
    assert "There is nothing here" in browse("ops").get(f"{list_url('plans.plan')}{uuid4()}/change/").content.decode()


def test_passwords_are_not_changed_by_django(browse: Callable[..., Client]) -> None:
    assert browse("ops").get("/admin/password_change/").status_code == 404


def test_strangers_must_log_in(full: World) -> None:
    client = Client()
    for label, row in a_row_of_each():
        for url in (list_url(label), page_url(row)):
            answer = client.get(url)
            assert answer.status_code == 302
            assert answer["Location"].startswith(reverse("admin:login"))
    assert client.get(reverse("admin:login")).status_code == 200


def test_looking_at_forms_changes_nothing(full: World, browse: Callable[..., Client]) -> None:
    """What lists and pages do not change either: `test_pages_by_role` has looked at those."""
    clients = {role: browse(role) for role in ("auditor", "pay_admin", "admin")}
    rows = list(a_row_of_each())
    before = contents()
    for role, client in clients.items():
        for label, row in rows:
            if role not in SEEN_BY[label]:
                continue
            model_admin = admin.site._registry[type(row)]
            for name in (*(action.name for action in model_admin.row_actions), *model_admin.more_urls()):
                client.get(reverse(f"admin:{model_admin.url_name(name)}", args=[row.pk]))
            for action in model_admin.list_actions():
                client.get(reverse(f"admin:{model_admin.url_name(action.name)}"))
    assert contents() == before


def test_lists_and_pages_take_no_post(full: World, browse: Callable[..., Client]) -> None:
    client = browse("pay_admin")
    before = contents()
    for label, row in a_row_of_each():
        if "pay_admin" in SEEN_BY[label]:
            # What is ticked in the list of payouts leads on to a form; there is nothing else to be sent to a list.
            expected = 200 if label == "treasury.payout" else 405
            assert client.post(list_url(label), {"action": "delete_selected"}).status_code == expected, label
            assert client.post(page_url(row), {"status": "approved"}).status_code == 405
    assert contents() == before


def test_nothing_is_added_or_deleted_by_form(full: World, browse: Callable[..., Client]) -> None:
    client = browse("pay_admin")
    bank = Bank.objects.get(code="sandbox")
    for path in (f"{list_url('treasury.bank')}add/", f"{list_url('treasury.bank')}{bank.pk}/delete/"):
        assert client.get(path, follow=True).status_code == 404
        assert client.post(path).status_code in (404, 405)
    assert Bank.objects.filter(pk=bank.pk).exists()


@pytest.mark.parametrize("key", ["00000000-0000-4000-8000-000000000000", "nonsense", "1"])
def test_what_is_not_there_is_not_found(browse: Callable[..., Client], key: str) -> None:
    client = browse("auditor")
    for label in SEEN_BY:
        if label != "core.workerheartbeat":
            assert client.get(f"{list_url(label)}{key}/change/").status_code == 404, label


def test_a_grant_on_one_account_shows_that_one(full: World, browse: Callable[..., Client]) -> None:
    client = browse("scoped", "no role")
    granted, other = full.account, full.iso_account
    _grant(actor=SYSTEM("test"), user_name="scoped", account=granted)
    listed = client.get(list_url("treasury.account"))
    assert [row.pk for row in listed.context["cl"].result_list] == [granted.pk]
    assert client.get(page_url(granted)).status_code == 200
    assert client.get(page_url(other)).status_code == 404
    assert client.get(list_url("treasury.payout")).status_code == 403
    menu = client.get(reverse("admin:index")).content.decode()
    assert list_url("treasury.account") in menu
    assert list_url("treasury.bank") not in menu


@operation
def _grant(*, user_name: str, account: Account, actor: Actor) -> None:
    from opsconsole.core.models import User

    assign_perm("treasury.view_account", User.objects.get(username=user_name), account)


@pytest.fixture(scope="module")
def pages_of_rows(everything: World, django_db_blocker: Any) -> list[str]:
    """The page of a row of each model, as the auditor sees it."""
    with django_db_blocker.unblock(), savepoint():
        client = browsing(make_person)("auditor")
        answers = [client.get(page_url(row)) for _label, row in a_row_of_each()]
        transaction.set_rollback(True)
    assert [answer.status_code for answer in answers if answer.status_code != 200] == []
    return [answer.content.decode() for answer in answers]


def test_everything_comes_from_here(full: World, browse: Callable[..., Client], pages_of_rows: list[str]) -> None:
    addresses = [(browse("auditor"), "index"), (Client(), "login")]
    fronts = [client.get(reverse(f"admin:{name}")).content.decode() for client, name in addresses]
    loading = re.compile(r"""(?:src|href|action|hx-get|hx-post)\s*=\s*["'](?:https?:)?//(?!testserver)[^"']*""")
    assert len(pages_of_rows) > 40
    for page in (*fronts, *pages_of_rows):
        assert not loading.findall(page)
    ours = (Path(settings.BASE_DIR) / "static" / "opsconsole").iterdir()
    for file in ours:
        assert not re.findall(r"url\(\s*['\"]?https?:|@import|fetch\(['\"]http", file.read_text()), file


def test_no_secret_is_shown(full: World, pages_of_rows: list[str]) -> None:
    secret = Bank.objects.get(code="sandbox").secret.reveal()
    assert len(pages_of_rows) > 40
    for page in pages_of_rows:
        assert secret not in page
        assert "pbkdf2" not in page


def test_lists_ask_no_more_for_more_rows(
    full: World, browse: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, too_many = browse("auditor"), []
    for model, model_admin in admin.site._registry.items():
        label = model._meta.label_lower
        if label in ("approvals.signerkey", "core.workerheartbeat"):
            continue
        counted = []
        for per_page in (1, 50):
            monkeypatch.setattr(model_admin, "list_per_page", per_page)
            with CaptureQueriesContext(connection) as queries:
                assert client.get(list_url(label)).status_code == 200
            counted.append(len(queries))
        # The journal asks once for the names of each kind of subject on its page.
        kinds = Entry.objects.values("subject_kind").distinct().count() if label == "journal.entry" else 0
        # Above them: what the system checks itself; how the members stand.
        most = kinds + {"monitoring.check": 20, "loyalty.tier": 16}.get(label, 14)
        if not counted[0] <= counted[1] <= min(counted[0] + kinds, most):
            too_many.append((label, counted))
    assert too_many == []


def test_a_long_list_is_capped(full: World, browse: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST", 20)
    monkeypatch.setattr(admin.site._registry[Payout], "list_per_page", 10)
    client = browse("ops")
    with CaptureQueriesContext(connection) as queries:
        page = client.get(list_url("treasury.payout"))
    assert "More than 20" in page.content.decode()
    assert page.context["cl"].paginator.num_pages == 2
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 21" in sql for sql in counts)


def test_lists_filter_and_search(full: World, browse: Callable[..., Client]) -> None:
    client = browse("ops")

    def found(label: str, **narrowed: str) -> int:
        page = client.get(list_url(label), narrowed)
        assert page.status_code == 200, narrowed
        return len(page.context["cl"].result_list)

    plan = Plan.objects.get(external_id="plan-1")
    assert found("treasury.payout", q="PAY-00003") == 1
    assert found("treasury.payout", q="Payee 1") == 10
    assert found("treasury.payout", status__exact="sent") == Payout.objects.filter(status="sent").count() > 0
    assert found("plans.plan", q="plan-2") == 1
    assert found("plans.plan", status__exact="approved") == 1
    assert found("plans.plan", plan_type="payout_batch", since="day") == 2
    assert found("plans.step", plan__id__exact=str(plan.pk), status="succeeded") == 4
    assert found("plans.step", status="unknown") == 0
    assert found("approvals.request", mine="1") == 0
    assert found("journal.entry", q="plan.created") == Plan.objects.count() == 4
    assert found("journal.entry", q="finance_ops") > 0
    assert found("journal.entry", q=str(plan.pk)) == found(
        "journal.entry", subject_kind="ops_plans", subject_id=str(plan.pk)
    )
    transfer = f"sent:{Step.objects.filter(plan=plan).first().key}"
    assert found("treasury.transfer", q=transfer) <= 1


def test_a_plan_reads_as_its_approver_needs_it(full: World, browse: Callable[..., Client]) -> None:
    plan = Plan.objects.get(external_id="plan-2")
    page = browse("auditor").get(page_url(plan)).content.decode()
    impact = plan.estimated_impact
    assert f"{impact['sums']['EUR']} <span>EUR</span>" in page
    assert impact["irreversible"] in page
    assert plan.digest in page
    assert "1,000,000.00" not in page  # plan-1 has taken its part
    for name in ("finance_ops", "pay_admin"):
        assert f"<strong>{name}</strong>" in page
    assert "{&#x27;" not in page
    assert "plan.approved" in page


def test_the_proof_of_an_entry(full: World, browse: Callable[..., Client]) -> None:
    client = browse("auditor")
    sealed = Entry.objects.order_by("seq").first()
    assert "the proof verifies" in client.get(page_url(sealed)).content.decode()
    proof = client.get(reverse("admin:journal_entry_proof", args=[sealed.pk]))
    assert proof.json() == proofs.prove_entry(sealed)
    assert "attachment" in proof["Content-Disposition"]
    add_payouts(count=1, amount=1, actor=TESTER, prefix="LATE")
    fresh = Entry.objects.order_by("-seq").first()
    assert "Not sealed yet" in client.get(page_url(fresh)).content.decode()
    assert client.get(reverse("admin:journal_entry_proof", args=[fresh.pk])).status_code == 409


def test_outbox_events_tell_who_has_them(full: World, browse: Callable[..., Client]) -> None:
    event = OutboxEvent.objects.first()
    page = browse("auditor").get(page_url(event)).content.decode()
    assert "opsconsole.core.jobs.log_event" in page
