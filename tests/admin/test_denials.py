"""Every action x every role, against one handwritten table: who holds no right sees no button and changes nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from opsconsole.approvals.services import register_signer_key
from opsconsole.core.actors import Actor
from opsconsole.core.roles import ROLES
from opsconsole.plans.models import Plan, Run
from tests.admin.conftest import contents, send
from tests.world import World

RUNNERS = {"pay_admin", "finance_ops", "ops"}
PAYERS = {"pay_admin", "finance_ops"}

# Which roles hold the right to an action; whether they may use it on this row now is the service's to say.
MAY: dict[str, set[str]] = {
    "plans_plan_new-payout-batch": RUNNERS,
    "plans_plan_stage": RUNNERS,
    "plans_plan_edit": RUNNERS,
    "plans_plan_approve": RUNNERS,
    "plans_plan_execute": RUNNERS,
    "plans_plan_revoke": RUNNERS,
    "plans_plan_draft": RUNNERS,
    "plans_plan_reject": RUNNERS,
    "plans_plan_cancel": RUNNERS,
    "plans_plan_rollback": RUNNERS,
    "plans_run_pause": RUNNERS,
    "plans_run_resume": RUNNERS,
    "plans_run_retry": RUNNERS,
    "plans_run_cancel": RUNNERS,
    "plans_step_resolve": RUNNERS,
    "approvals_request_approve": RUNNERS,
    "approvals_request_reject": RUNNERS,
    "approvals_request_revoke": RUNNERS,
    "approvals_request_comment": RUNNERS,
    "approvals_signerkey_register": RUNNERS,
    "approvals_signerkey_revoke": RUNNERS,
    "treasury_payout_import": PAYERS,
    "treasury_payout_hold": PAYERS,
    "treasury_payout_release": PAYERS,
    "treasury_payout_retry": PAYERS,
    "treasury_route_redirect": {"pay_admin"},
}


def actions() -> dict[str, Any]:
    """Every action by the name of its address, with its model, or None for one of a list."""
    found: dict[str, Any] = {}
    for model, model_admin in admin.site._registry.items():
        found |= {model_admin.url_name(action.name): model for action in model_admin.row_actions}
        found |= {model_admin.url_name(action.name): None for action in model_admin.list_actions()}
    return found


def test_the_table_names_every_action() -> None:
    assert set(MAY) == set(actions())


@pytest.fixture
def urls(world: World, executed: Callable[..., tuple[Plan, Run]], person: Callable[..., Actor]) -> dict[str, str]:
    """The address of every action, on some row."""
    executed(total="500")
    raw = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    register_signer_key(name="laptop", public_key=raw, actor=person("finance_ops"))
    return {
        name: reverse(f"admin:{name}", args=[model._default_manager.first().pk] if model else [])
        for name, model in actions().items()
    }


@pytest.mark.parametrize("role", [*ROLES, "nobody"])
def test_who_holds_no_right_changes_nothing(urls: dict[str, str], browse: Callable[..., Client], role: str) -> None:
    client = browse(role)
    before = contents()
    facts = {"reason": "x", "comment": "x", "outcome": "succeeded", "evidence": "x", "digest": "0" * 64, "typed": "4"}
    for name, url in urls.items():
        if role in MAY[name]:
            expected = {404} if name == "approvals_signerkey_revoke" and role != "finance_ops" else {200}
            assert client.get(url).status_code in expected, name
        else:
            # A row the person may not even see is not found, for those who see others of its kind.
            assert client.get(url).status_code in (403, 404), name
            assert send(client, url, **facts).status_code in (403, 404), name
    assert contents() == before


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
                assert "data-action=" not in answer.content.decode()
    for url in urls.values():
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
