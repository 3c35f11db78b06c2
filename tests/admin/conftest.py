"""People in front of the admin, and what they look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django import forms
from django.db import connection
from django.test import Client

from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from tests.plans.conftest import approved, draft, executed, world
from tests.sandbox_bank.process import bank, shared_bank

__all__ = ["approved", "bank", "draft", "executed", "shared_bank", "world"]

TABLES = (
    "ops_plans",
    "ops_plan_runs",
    "ops_plan_steps",
    "approvals_policies",
    "approvals_requests",
    "approvals_decisions",
    "approvals_signer_keys",
    "approvals_reviews",
    "approvals_review_answers",
    "ops_calendars",
    "ops_break_glass",
    "treasury_banks",
    "treasury_accounts",
    "treasury_payouts",
    "treasury_instructions",
    "treasury_routes",
    "treasury_sweeps",
    "treasury_bank_files",
    "treasury_bank_lines",
    "treasury_breaks",
    "treasury_stated_balances",
    "treasury_transfers",
    "treasury_legs",
    "journal_entries",
    "core_outbox_events",
    "core_idempotency_keys",
    "core_user",
)


def browsing(person: Callable[..., Actor]) -> Callable[..., Client]:
    """What opens a browser in which somebody is logged in."""

    def make(name: str | None, *roles: str) -> Client:
        client = Client()
        if name is not None:
            client.force_login(person(name, *roles).user, "django.contrib.auth.backends.ModelBackend")
        return client

    return make


@pytest.fixture
def browse(person: Callable[..., Actor]) -> Callable[..., Client]:
    """A browser in which somebody is logged in: `browse("ops")`; nobody: `browse(None)`."""
    return browsing(person)


def press(client: Client, url: str, **data: Any) -> Any:
    """Press the button at this address: read its form as a browser would, fill it in, and send it."""
    page = client.get(url)
    assert page.status_code == 200, (url, page.status_code)
    form = page.context["form"]
    sent = {name: _shown(form, name, field) for name, field in form.fields.items()}
    sent = {name: value for name, value in sent.items() if value not in (None, False)} | data
    if form.typed:
        sent.setdefault("typed", form.typed)
    return client.post(url, sent)


def _shown(form: Any, name: str, field: Any) -> Any:
    """What a browser would send for a field that nobody touched."""
    value = form.get_initial_for_field(field, name)
    if value is None and isinstance(field.widget, forms.Select) and not isinstance(field.widget, forms.RadioSelect):
        return next(iter(field.choices))[0]
    return value


def send(client: Client, url: str, **data: Any) -> Any:
    """Send a form without having seen it."""
    return client.post(url, {"key": str(uuid4()), **data})


def messages_of(response: Any) -> list[str]:
    """What the page that follows says."""
    return [str(message) for message in response.wsgi_request._messages._queued_messages]


def contents() -> dict[str, str]:
    """A digest of every table that matters: equal before and after means that nothing was written."""
    with connection.cursor() as cursor:
        found = {}
        for table in TABLES:
            cursor.execute(f"select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t")
            found[table] = cursor.fetchone()[0]
    return found


def verbs() -> list[str]:
    """The verbs of the journal, in the order of writing."""
    return list(Entry.objects.order_by("seq").values_list("verb", flat=True))
