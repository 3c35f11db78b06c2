"""A passkey in a real browser, by the authenticator of Chromium: asked for, agreed to, signed with, logged in with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opsconsole.approvals.models import Decision, SignerKey
from opsconsole.approvals.signed import proves_itself
from opsconsole.changes.models import Change
from opsconsole.core.actors import Actor
from opsconsole.identity import second_factor
from opsconsole.plans.models import Plan
from opsconsole.plans.services import staging
from tests.world import World

pytestmark = pytest.mark.browser
CODE = "/admin/login/code/"


def plug_in(page: Any) -> tuple[Any, str]:
    """A security key in the computer, which knows its user."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools, made["authenticatorId"]


def register(page: Any) -> None:
    page.goto("/admin/approvals/signerkey/register-passkey/")
    page.fill("#id_name", "security key")
    page.fill("#id_reason", "my own, bought yesterday")
    page.click("form.ops-confirm button[type=submit]")
    page.wait_for_url("**/changes/change/*/change/")


def agree(visit: Callable[..., Any], name: str, change: Change) -> None:
    page = visit(name)
    page.goto(f"/admin/changes/change/{change.pk}/change/")
    page.click("[data-action=approve]")
    told = page.inner_text("main")
    assert change.after["fingerprint"] in told
    assert "Call them on a number that you know" in told
    page.click("form.ops-confirm button[type=submit]")
    page.wait_for_url(f"**/change/{change.pk}/change/")
    assert page.troubles == []


def test_asked_for_signed_with_and_logged_in_with(
    world: World, visit: Callable[..., Any], draft: Callable[..., Plan], person: Callable[..., Actor]
) -> None:
    plan = draft(total="500")
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    page = visit("finance_ops")
    devtools, authenticator = plug_in(page)
    register(page)
    change = Change.objects.get()
    for shown in (change.after["fingerprint"], "localhost", "1 admin and 1 pay_admin"):
        assert shown in page.inner_text("body")

    page.goto(f"/admin/plans/plan/{plan.pk}/approve/")
    assert page.locator("[data-passkey=get] button").count() == 0, "nothing to sign with before others have agreed"
    for name in ("admin", "pay_admin"):
        assert not SignerKey.objects.exists()
        agree(visit, name, change)
    key = SignerKey.objects.get()
    assert (key.kind, key.rp_id) == ("passkey", "localhost")

    page.goto("/admin/approvals/signerkey/register-passkey/")
    page.fill("#id_name", "the same")
    page.fill("#id_reason", "once more")
    page.click("form.ops-confirm button[type=submit]")
    page.wait_for_selector("[data-passkey-says]:not([hidden])")
    assert "registered already" in page.inner_text("[data-passkey-says]")

    page.goto(f"/admin/plans/plan/{plan.pk}/approve/")
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page.click("[data-passkey=get] button")
    page.wait_for_selector("[data-passkey-says]:not([hidden])")
    assert not Decision.objects.filter(signer_key=key).exists()
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": True})
    page.click("[data-passkey=get] button")
    page.wait_for_url(f"**/plan/{plan.pk}/change/")
    decision = Decision.objects.select_related("signer_key").get(request__subject_kind="plan")
    assert decision.signer_key == key
    assert proves_itself(decision)
    assert SignerKey.objects.get().sign_count > key.sign_count

    _log_in_with_it(page, person("finance_ops"))
    assert page.troubles == []


def _log_in_with_it(page: Any, actor: Actor) -> None:
    secret = second_factor.new_secret()
    code = second_factor.code_at(secret, second_factor.timezone.now())
    assert second_factor.enrol(secret=secret, code=code, current="", address="192.0.2.1", actor=actor)
    page.goto("/admin/")  # the session was opened without it
    page.fill("#id_username", "finance_ops")
    page.fill("#id_password", "finance_ops-password-1")
    page.click("#login-form button[type=submit]")
    page.wait_for_url(f"**{CODE}")
    page.click("[data-passkey=get] button")
    page.wait_for_url("**/admin/")
    assert page.locator("#nav-sidebar").count() == 1
