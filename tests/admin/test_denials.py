"""Who holds no right sees no button and changes nothing. Every action x every role: tests/access/actions.txt."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from opsconsole.approvals.reviews import open_review
from opsconsole.approvals.states import ReviewCause
from opsconsole.changes.services.requests import request_change
from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.roles import ROLES
from opsconsole.core.tokens import create_token
from opsconsole.identity.second_factor import code_at, enrol, new_secret
from opsconsole.monitoring.services.incidents import open_incident
from opsconsole.monitoring.states import Severity
from opsconsole.plans.models import Calendar, Plan, Run
from opsconsole.treasury.services.bank_files import import_bank_file
from tests.admin.conftest import contents, send
from tests.loyalty import doors as loyalty
from tests.notifications.world import furnish
from tests.signing import give_key, new_public_key
from tests.treasury.bank_files.conftest import entry, statement
from tests.world import World

RUNNERS = {"pay_admin", "finance_ops", "ops"}
TAKEN_AWAY = ("journal_entry_export", "journal_entry_download")  # what an auditor may carry home
LOOKED_UP = (
    "loyalty_voucherbatch_look-up",
    "loyalty_voucher_look-up",
)  # by POST, since a code has no place in an address
OWN = ("knox_authtoken_new", "knox_authtoken_end", "knox_authtoken_password")  # what people do for themselves


def actions() -> dict[str, Any]:
    """Every action by the name of its address, with its model, or None for one of a list."""
    found: dict[str, Any] = {}
    for model, model_admin in admin.site._registry.items():
        found |= {model_admin.url_name(action.name): model for action in model_admin.row_actions}
        found |= {model_admin.url_name(action.name): None for action in model_admin.list_actions()}
    return found


@operation
def _calendar_and_review(*, actor: Actor) -> None:
    """A row for their buttons to stand on."""
    Calendar.objects.create(
        name="Closing", reason="x", starts_at=timezone.now(), ends_at=timezone.now() + timedelta(1),
        plan_types=["sweep"], created_by=actor.user,
    )  # fmt: skip
    plan = Plan.objects.get()
    open_review(
        cause=ReviewCause.BREAK_GLASS, subject_kind="plan", subject_id=plan.pk, title=plan.name, facts={},
        roles=sorted(RUNNERS), barred=[], needed=2, actor=actor,
    )  # fmt: skip


@pytest.fixture
def urls(world: World, executed: Callable[..., tuple[Plan, Run]], person: Callable[..., Actor]) -> dict[str, str]:
    """The address of every action, on some row."""
    executed(total="500")
    _calendar_and_review(actor=person("pay_admin"))
    asked = {"payload": {"priority": 3}, "reason": "cheaper", "actor": person("finance_ops")}
    request_change(kind="gateway", subject="sandbox", **asked)
    loyalty.furnish({role: person(role) for role in ROLES})
    create_token(person("finance_ops").user)
    give_key(name="laptop", public_key=new_public_key(), actor=person("finance_ops"))
    furnish(admin=person("admin"), person=person("finance_ops"))
    open_incident(title="Slow", severity=Severity.WARNING, description="", actor=person("ops"))
    import_bank_file(
        stream=io.BytesIO(statement(entry("NOTPROVIDED", "7.00"))), name="s.xml", actor=person("finance_ops")
    )
    code = code_at(secret := new_secret(), timezone.now())
    enrol(secret=secret, code=code, current="", address="192.0.2.1", actor=person("newcomer"))
    return {
        name: reverse(f"admin:{name}", args=[model._default_manager.first().pk] if model else [])
        for name, model in actions().items()
    }


def test_an_auditor_sees_everything_and_no_button(urls: dict[str, str], browse: Callable[..., Client]) -> None:
    client = browse("auditor")
    for model in admin.site._registry:
        row = model._default_manager.first()
        for page in ("changelist", "change"):
            url = (
                reverse(
                    f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}",
                    args=[row.pk] if page == "change" and row else [],
                )
                if page == "changelist" or row
                else None
            )
            if url:
                answer = client.get(url)
                assert answer.status_code == 200
                offered = set(re.findall(r'data-action="([^"]+)"', answer.content.decode()))
                assert {f"{model._meta.label_lower.replace('.', '_')}_{name}" for name in offered} <= {
                    *OWN,
                    *TAKEN_AWAY,
                    *LOOKED_UP,
                }
    for name, url in urls.items():
        if name not in (*OWN, *TAKEN_AWAY, *LOOKED_UP):
            assert client.get(url).status_code == 403
            assert send(client, url).status_code == 403


def test_a_stranger_is_sent_to_log_in(urls: dict[str, str]) -> None:
    client, before = Client(), contents()
    for url in urls.values():
        assert send(client, url)["Location"].startswith(reverse("admin:login"))
    assert contents() == before


def test_without_a_csrf_token_nothing_happens(urls: dict[str, str], person: Callable[..., Actor]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(person("pay_admin").user, "django.contrib.auth.backends.ModelBackend")
    before = contents()
    for url in urls.values():
        assert send(client, url).status_code == 403
    assert contents() == before


def test_somebody_who_left_is_out(urls: dict[str, str], browse: Callable[..., Client], superuser: Any) -> None:
    client = browse("pay_admin")
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update core_user set is_active = false where username = 'pay_admin'")
    before = contents()
    for url in urls.values():
        assert send(client, url)["Location"].startswith(reverse("admin:login"))
    assert contents() == before
