"""The generic door to approvals, with signatures; and the keys they are made with."""

from __future__ import annotations

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client
from django.urls import reverse

from opsconsole.approvals.models import Decision, Request, SignerKey
from opsconsole.changes.models import Change
from opsconsole.core.actors import Actor
from opsconsole.plans.models import Plan
from opsconsole.plans.services import staging
from opsconsole.treasury.services.banks import fund_account
from tests.admin.conftest import contents, messages_of, press, send, verbs
from tests.signing import give_key, new_public_key
from tests.world import TESTER, World, add_payouts


def url(row: Any, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


@pytest.fixture
def request_(world: World, draft: Callable[..., Plan], person: Callable[..., Actor]) -> Request:
    staging.stage_plan(plan_id=draft(total="500").pk, actor=person("ops"))
    return Request.objects.get()


def test_the_inbox(request_: Request, browse: Callable[..., Client]) -> None:
    finance, ops = browse("finance_ops"), browse("ops")
    assert url(request_) in finance.get(reverse("admin:index")).content.decode()
    assert "Nothing waits for you." in ops.get(reverse("admin:index")).content.decode()
    listed = finance.get(reverse("admin:approvals_request_changelist"), {"mine": "1"})
    assert len(listed.context["cl"].result_list) == 1


def test_comment_approve_revoke_reject(request_: Request, browse: Callable[..., Client]) -> None:
    finance, pay = browse("finance_ops"), browse("pay_admin")
    press(finance, url(request_, "comment"), comment="who is payee 2?")
    assert messages_of(press(finance, url(request_, "approve"))) == ["Approved. Still needed: 1 pay_admin."]
    assert messages_of(press(pay, url(request_, "approve"))) == ["Approved: everybody who must agree has agreed."]
    plan = Plan.objects.get()
    assert plan.status == "approved"
    press(pay, url(request_, "revoke"), reason="too fast")
    plan.refresh_from_db()
    assert plan.status == "staged"
    press(pay, url(request_, "reject"), reason="wrong cutoff")
    plan.refresh_from_db()
    assert plan.status == "rejected"
    page = finance.get(url(request_)).content.decode()
    for said in ("who is payee 2?", "too fast", "wrong cutoff"):
        assert said in page
    assert [verb for verb in verbs() if verb.startswith("approval.")] == [
        "approval.requested",
        "approval.commented",
        "approval.approved",
        "approval.approved",
        "approval.revoked",
        "approval.rejected",
    ]
    assert send(pay, url(request_, "approve"), digest=request_.digest).status_code == 409


def agreed(change: Change, browse: Callable[..., Client], *names: str) -> Change:
    """The change, once these have pressed Approve."""
    for name in names:
        press(browse(name), url(change, "approve"))
    change.refresh_from_db()
    return change


def test_the_text_to_sign_is_on_the_page(
    request_: Request, browse: Callable[..., Client], person: Callable[..., Actor]
) -> None:
    client = browse("finance_ops")
    key = Ed25519PrivateKey.generate()
    raw = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    give_key(name="laptop", public_key=raw, actor=person("finance_ops"))
    page = client.get(url(request_, "approve"))
    panel = page.context["sections"][0]
    text = panel.context["signing_text"]
    assert text in page.content.decode()
    forged = base64.b64encode(b"0" * 64).decode()
    before = contents()
    answer = press(client, url(request_, "approve"), signature=forged)
    assert answer.status_code == 422
    assert "does not verify" in answer.content.decode()
    assert contents() == before
    press(client, url(request_, "approve"), signature=base64.b64encode(key.sign(text.encode())).decode())
    assert Decision.objects.get().signed


def test_a_key_is_asked_for_agreed_to_and_revoked(world: World, browse: Callable[..., Client]) -> None:
    client = browse("finance_ops")
    raw = new_public_key()
    register = reverse("admin:approvals_signerkey_register")
    asked = {"name": "laptop", "public_key": raw, "reason": "a new laptop"}
    answer = press(client, register, **asked)
    change = Change.objects.get()
    assert answer["Location"] == url(change)
    assert not SignerKey.objects.exists()
    mine = client.get(reverse("admin:approvals_signerkey_changelist")).content.decode()
    assert url(change) in mine
    assert "Changes that wait" in mine
    assert url(change) not in browse("ops").get(reverse("admin:approvals_signerkey_changelist")).content.decode()
    page = browse("admin").get(url(change)).content.decode()
    for shown in ("Ed25519 key", "finance_ops", change.after["fingerprint"], "Call them on a number that you know"):
        assert shown in page
    assert "Call them on a number" in browse("admin").get(url(change, "approve")).content.decode()
    assert press(client, url(change, "approve")).status_code == 403
    assert agreed(change, browse, "admin", "pay_admin").status == "applied"
    assert "Call them on a number" not in browse("admin").get(url(change)).content.decode()

    key = SignerKey.objects.get()
    other = browse("pay_admin")
    assert other.get(url(key)).status_code == 404
    assert send(other, url(key, "revoke")).status_code == 404
    assert browse("auditor").get(url(key)).status_code == 200
    assert press(client, register, **{**asked, "public_key": "no"}).status_code == 400
    assert press(other, register, **asked).status_code == 409
    press(client, url(key, "revoke"))
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_above_the_threshold_a_signature_is_asked_for(
    world: World, draft: Callable[..., Plan], browse: Callable[..., Client], person: Callable[..., Actor]
) -> None:
    fund_account(account_id=world.account.pk, amount=Decimal(1_000_000), reference="more", actor=TESTER)
    add_payouts(count=2, amount=Decimal(600_000), actor=TESTER, prefix="BIG")
    plan = draft("big")
    staging.stage_plan(plan_id=plan.pk, actor=person("ops"))
    client = browse("finance_ops")
    for address in (reverse("admin:plans_plan_approve", args=[plan.pk]), url(Request.objects.get(), "approve")):
        before = contents()
        answer = press(client, address)
        assert answer.status_code == 400
        assert "signature" in answer.context["form"].errors
        assert contents() == before
    plan.refresh_from_db()
    assert plan.required_approvals == 3
