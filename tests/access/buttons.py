"""The admin's buttons and what to press them with: a row in a state where pressing has its effect, a form filled in."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from opsconsole.approvals.models import Policy
from opsconsole.changes.models import Change
from opsconsole.changes.services.decisions import approve_change
from opsconsole.changes.services.requests import request_change
from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.core.roles import ROLES
from opsconsole.core.tokens import create_token
from opsconsole.identity.models import SecondFactor
from opsconsole.identity.offboarding import offboard_user
from opsconsole.identity.second_factor import code_at, enrol, new_secret
from opsconsole.journal.models import Entry
from opsconsole.journal.outcomes import EXPORTED
from opsconsole.journal.services import record_export
from opsconsole.notifications.gateways import signing
from opsconsole.notifications.services import channels
from opsconsole.treasury.models import Bank, Payout
from tests.access.conftest import Doors
from tests.approvals.authenticator import Authenticator
from tests.conftest import _make_user
from tests.loyalty import buttons as loyalty
from tests.notifications.world import connect
from tests.treasury.bank_files.conftest import entry, statement
from tests.world import ISO_IBAN

NOBODY = "nobody"
WHO = (*ROLES, NOBODY)
PLAN = "api/ops/plans/<plan_id>"
EXPORT_FILE, EXPORT = "exports/journal.jsonl", b"{}\n"
PAYOUTS = (
    "external_id,beneficiary_name,iban,bic,amount,currency,due_date,remittance\n"
    "IN-1,Ada GmbH,DE25370400449046584330,COBADEFFXXX,12.50,EUR,2025-07-01,Invoice 1\n"
)


def actions() -> dict[str, bool]:
    """Every action of the admin by the name of its address; whether it is one of a row."""
    found: dict[str, bool] = {}
    for model_admin in admin.site._registry.values():
        found |= {model_admin.url_name(action.name): True for action in model_admin.row_actions}
        found |= {model_admin.url_name(action.name): False for action in model_admin.list_actions()}
    return found


@dataclass(frozen=True, slots=True)
class Stage:
    """A login for every role, and the row that each button stands on."""

    logins: dict[str, str]  # the session's key
    rows: dict[str, Any]

    def browser(self, who: str) -> Client:
        """Somebody in front of the admin: a new browser each time, since what one learns is not rolled back."""
        client = Client()
        client.cookies[settings.SESSION_COOKIE_NAME] = self.logins[who]
        return client

    def url(self, name: str) -> str:
        """The address of an action."""
        return reverse(f"admin:{name}", args=[self.rows[name]] if actions()[name] else [])

    def send(self, name: str, who: str) -> Any:
        """The answer to a form that was sent without having been seen."""
        return self.browser(who).post(self.url(name), {"key": str(uuid4()), "reason": "because", "comment": "because"})

    def press(self, name: str, who: str) -> Any:
        """The answer to the form, looked at and filled in; the page that was no form where there is none."""
        browser, url = self.browser(who), self.url(name)
        page = browser.get(url)
        if page.status_code != 200:
            return page
        form = page.context["form"]
        sent = {field: _shown(form, field, shown) for field, shown in form.fields.items()}
        sent = {field: value for field, value in sent.items() if value is not None and value is not False}
        sent |= {field: value for field, value in _said(name, form, who).items() if field in form.fields}
        if form.typed:
            sent["typed"] = form.typed
        return browser.post(url, sent)


def set_up(doors: Doors) -> Stage:
    """What the doors have, and what only buttons need: somebody who left, a second factor, a change to be applied."""
    people = {role: Actor.of(User.objects.get(username=role)) for role in ROLES}
    users = {role: actor.user for role, actor in people.items()}
    users[NOBODY] = _make_user(name=NOBODY, roles=[], actor=SYSTEM("test"))
    create_token(users[NOBODY])
    gone = _make_user(name="gone", roles=["ops"], actor=SYSTEM("test"))
    offboard_user(user_id=gone.pk, reason="left", actor=people["admin"])
    newcomer = Actor.of(_make_user(name="newcomer", roles=["ops"], actor=SYSTEM("test")))
    secret = new_secret()
    enrol(secret=secret, code=code_at(secret, timezone.now()), current="", address="192.0.2.1", actor=newcomer)
    off = connect(
        name="off", kind="webhook", target="http://127.0.0.1:9/x", secret=signing.make_secret(), actor=people["admin"]
    )
    channels.switch_channel(channel_id=off.pk, on=False, reason="quiet", actor=people["admin"])
    digest = hashlib.sha256(EXPORT).hexdigest()
    record_export(
        since=None, until=None, form="jsonl", entries=1, file=EXPORT_FILE, sha256=digest, actor=people["auditor"]
    )
    logins = {}
    for who, user in users.items():
        client = Client()
        client.force_login(user, "django.contrib.auth.backends.ModelBackend")
        logins[who] = client.cookies[settings.SESSION_COOKIE_NAME].value
    rows = _rows(doors, waiting=_approved_change(people), off=off.pk, gone=gone.pk)
    return Stage(logins, rows | loyalty.rows(doors.defaults, doors.ids, people))


@operation
def _only_executor(*, action: str, role: str, actor: Actor) -> None:  # noqa: ARG001 - what an operation takes
    """Another version of the policy by which one role alone carries such changes out, so that one stays approved."""
    old = Policy.objects.get(action=action, active=True)
    Policy.objects.filter(pk=old.pk).update(active=False)
    Policy.objects.create(action=action, version=old.version + 1, slots=old.slots, executors=[role], ttl=old.ttl)


def _approved_change(people: dict[str, Actor]) -> Change:
    """A change that is approved by people who may not carry it out."""
    second = Actor.of(_make_user(name="finance_ops2", roles=["finance_ops"], actor=SYSTEM("test")))
    _only_executor(action="change.gateway", role="pay_admin", actor=SYSTEM("test"))
    change = request_change(
        kind="gateway", subject="filebank", payload={"priority": 9}, reason="cheaper", actor=second
    )  # fmt: skip
    for name in ("pay_admin", "finance_ops"):
        change = approve_change(change_id=change.pk, digest=None, signature="", comment="", actor=people[name])
    assert change.status == "approved"
    return change


def _rows(doors: Doors, *, waiting: Change, off: Any, gone: Any) -> dict[str, Any]:
    ids, known = doors.ids, doors.defaults
    dev, newcomer = User.objects.get(username="dev").pk, User.objects.get(username="newcomer").pk
    return {
        "plans_plan_stage": ids[f"{PLAN}/stage"]["plan_id"],
        "plans_plan_edit": ids[PLAN]["plan_id"],
        **{f"plans_plan_{verb}": known["plan_id"] for verb in ("approve", "draft", "reject", "cancel", "duplicate")},
        "plans_plan_execute": ids[f"{PLAN}/execute"]["plan_id"],
        "plans_plan_revoke": ids[f"{PLAN}/revoke"]["plan_id"],
        "plans_plan_rollback": ids[f"{PLAN}/rollback"]["plan_id"],
        "plans_plan_break-glass": ids[f"{PLAN}/break-glass"]["plan_id"],
        **{f"plans_run_{verb}": ids[f"{PLAN}/runs/<run_id>/{verb}"]["run_id"]
           for verb in ("pause", "resume", "retry", "cancel", "force-fail")},
        "plans_step_resolve": ids[f"{PLAN}/steps/<step_id>/resolve"]["step_id"],
        "plans_calendar_end": known["calendar_id"],
        "approvals_review_review": known["review_id"],
        **dict.fromkeys(
            ("approvals_request_approve", "approvals_request_reject", "approvals_request_comment"), known["request_id"]
        ),
        "approvals_request_revoke": ids["api/approvals/<request_id>/revoke"]["request_id"],
        "approvals_signerkey_revoke": known["key_id"],
        "approvals_policy_change-policy": Policy.objects.get(action="plan.payout_batch", active=True).pk,
        "identity_secondfactor_reset": SecondFactor.objects.get().pk,
        **{f"changes_change_{verb}": known["change_id"] for verb in ("approve", "reject", "cancel")},
        "changes_change_apply": waiting.pk,
        "changes_change_collect": ids["api/changes/<change_id>/apply"]["change_id"],
        **{f"core_user_{name}": dev
           for name in ("change-profile", "change-roles", "change-grant", "change-token", "take-away")},
        "core_user_change-reactivation": gone,
        "core_user_offboard": newcomer,
        "monitoring_incident_acknowledge": known["incident_id"],
        "monitoring_incident_comment": known["incident_id"],
        "monitoring_incident_resolve": known["incident_id"],
        **{f"notifications_channel_{name}": known["channel_id"]
           for name in ("test", "edit", "secret", "off", "remove", "retry-dead")},
        "notifications_channel_on": off,
        "notifications_delivery_retry": known["delivery_id"],
        "notifications_subscription_edit": known["subscription_id"],
        "notifications_subscription_end": known["subscription_id"],
        "journal_entry_download": Entry.objects.filter(verb=EXPORTED).latest("seq").pk,
        "treasury_bank_change-gateway": Bank.objects.get(code="sandbox").pk,
        "treasury_account_change-iban": known["account_id"],
        "treasury_break_resolve": known["break_id"],
        "treasury_payout_hold": known["payout_id"],
        "treasury_payout_change-beneficiary": known["payout_id"],
        "treasury_payout_release": ids["api/ops/payouts/<payout_id>/release"]["payout_id"],
        "treasury_payout_retry": ids["api/ops/payouts/<payout_id>/retry"]["payout_id"],
        "treasury_route_redirect": known["route_id"],
    }  # fmt: skip


def _shown(form: Any, name: str, field: Any) -> Any:
    """What a browser would send for a field that nobody touched."""
    value = form.get_initial_for_field(field, name)
    if value is None and isinstance(field, forms.ChoiceField) and not isinstance(field, forms.MultipleChoiceField):
        return next((key for key, _label in field.choices if key), None)
    return value


def _said(name: str, form: Any, who: str) -> dict[str, Any]:
    """What a person would type."""
    said: dict[str, Callable[[], dict[str, Any]]] = {
        "approvals_signerkey_register": lambda: {"public_key": _public_key()},
        "approvals_signerkey_register-passkey": lambda: {"passkey": _passkey(form)},
        "core_user_change-user": lambda: {"username": "somebody-new", "roles": ["dev"]},
        "core_user_change-profile": lambda: {"first_name": "Dev"},
        "core_user_change-roles": lambda: {"add": ["trader"]},
        "core_user_change-grant": lambda: {
            "object": "treasury.bank", "object_id": str(Bank.objects.get(code="sandbox").pk),
            "permission": "view_bank", "role": "",
        },
        "core_user_take-away": lambda: {"roles": ["dev"]},
        "approvals_policy_change-policy": lambda: {"ttl_hours": "12"},
        "knox_authtoken_end": lambda: {"tokens": [key for key, _label in form.fields["tokens"].choices][:1]},
        "knox_authtoken_password": lambda: {
            "old": f"{who}-password-1", "new": "correct-horse-battery-9", "again": "correct-horse-battery-9",
        },
        "notifications_channel_add-slack": lambda: {"target": "http://127.0.0.1:9/services/T0/B0/x"},
        "notifications_channel_add-webhook": lambda: {"target": "http://127.0.0.1:9/hook"},
        "notifications_channel_add-mail": lambda: {"target": "ops@example.com"},
        "notifications_channel_edit": lambda: {"name": "renamed"},
        "plans_calendar_new": lambda: {"starts_at": "2999-01-01T00:00", "ends_at": "2999-01-02T00:00"},
        "plans_plan_edit": lambda: {"description": "more"},
        "plans_plan_new-failover": lambda: {"from_bank": "sandbox", "to_bank": "filebank"},
        "plans_plan_new-freeze": lambda: {"subject": "merchant", "id": "M-9", "account": ""},
        "plans_plan_new-json": lambda: {
            "plan_type": "freeze", "payload_json": json.dumps({"subject": "merchant", "id": "M-9", "reason": "x"}),
        },
        "plans_plan_new-pause-bank": lambda: {"bank": "sandbox"},
        "plans_plan_new-payout-batch": lambda: {"currency": "EUR"},
        "plans_plan_new-sweep": lambda: {"currency": "EUR", "source_bank": "sandbox", "target_account": ISO_IBAN},
        "treasury_account_change-account": lambda: {
            "bank": "sandbox", "iban": "DE02120300000000202051", "currency": "EUR",
        },
        "treasury_account_change-iban": lambda: {"iban": "DE02120300000000202051"},
        "treasury_bank_change-bank": lambda: {
            "code": "third", "bic": "COBADEFFXXX", "gateway": "iso20022", "base_url": "", "key_id": "", "secret": "",
        },
        "treasury_bank_change-gateway": lambda: {"priority": "7"},
        "treasury_bankfile_import": lambda: {
            "file": SimpleUploadedFile("new.xml", statement(entry("NOTPROVIDED", "8.00")))
        },
        "treasury_payout_import": lambda: {"file": SimpleUploadedFile("payouts.csv", PAYOUTS.encode())},
        "treasury_payout_change-beneficiary": lambda: {"beneficiary_name": "Another GmbH"},
        "treasury_payout_hold-several": lambda: {"payouts": _payout("payable")},
        "treasury_payout_release-several": lambda: {"payouts": _payout("held")},
    }  # fmt: skip
    common = {
        "reason": "because", "comment": "because", "name": f"by-{who}", "outcome": "succeeded", "evidence": "seen",
        "incident": "INC-7", "conclusion": "a slow disk", "title": "Slow answers", "note": "looked at",
        "in_order": "yes", "verdict": "approve", "external_id": f"new-{uuid4()}", "role": "ops",
    }  # fmt: skip
    return common | (said[name]() if name in said else {}) | loyalty.said(name, who)


def _payout(status: str) -> str:
    return Payout.objects.filter(external_id__startswith="FREE", status=status).values_list("external_id", flat=True)[0]


def _public_key() -> str:
    raw = Ed25519PrivateKey.from_private_bytes(secrets.token_bytes(32)).public_key().public_bytes_raw()
    return base64.b64encode(raw).decode()


def _passkey(form: Any) -> str:
    return json.dumps(Authenticator().create(form.fields["passkey"].widget.options))
