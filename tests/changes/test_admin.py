"""Changes in the admin: asked for on the record's page, decided on their own; people who leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from knox.models import AuthToken

from opsconsole.approvals.models import Policy
from opsconsole.changes.models import Change
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.tokens import create_token, user_of_token
from opsconsole.treasury.models import Bank
from tests.admin.conftest import browse, messages_of, press, send
from tests.changes.conftest import ADDRESS, NEW_SECRET, OLD_SECRET, OTHER_IBAN, nothing_changes, verbs
from tests.world import TESTER, World, add_payouts

__all__ = ["browse"]

pytestmark = pytest.mark.django_db
People = dict[str, Actor]
Browse = Callable[..., Client]


def url(row: Any, name: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])


def test_asked_for_on_the_page_of_the_bank(world: World, people: People, browse: Browse) -> None:
    bank = Bank.objects.get(code="sandbox")
    client = browse("finance_ops")
    form = client.get(url(bank, "change-gateway"))
    page = form.content.decode()
    assert OLD_SECRET not in page
    assert "1 finance_ops and 1 pay_admin" in page
    assert form.context["form"].initial["base_url"] == "http://127.0.0.1:9"
    assert press(client, url(bank, "change-gateway"), base_url=ADDRESS).status_code == 400  # no reason
    answer = press(client, url(bank, "change-gateway"), base_url=ADDRESS, secret=NEW_SECRET, reason="letter")
    assert answer.status_code == 302, answer.context["form"].errors
    change = Change.objects.get()
    assert sorted(change.payload) == ["base_url", "secret"]
    assert change.title in client.get(url(bank)).content.decode()

    for name in ("finance_ops2", "pay_admin"):
        client = browse(name)
        page = client.get(url(change)).content.decode()
        assert ADDRESS in page
        assert "http://127.0.0.1:9" in page
        assert NEW_SECRET not in page
        answer = press(client, url(change, "approve"))
    assert messages_of(answer) == ["Applied."]
    bank.refresh_from_db()
    assert (bank.base_url, bank.secret.reveal(), bank.priority) == (ADDRESS, NEW_SECRET, 100)
    for row in (change, bank):
        page = browse("auditor").get(url(row)).content.decode()
        assert NEW_SECRET not in page
        assert "data-action=" not in page


def test_the_approvals_page_shows_what_changes(world: World, people: People, browse: Browse) -> None:
    press(browse("finance_ops"), url(world.account, "change-iban"), iban=OTHER_IBAN, reason="merger")
    request = reverse("admin:approvals_request_changelist")
    page = browse("pay_admin").get(request, {"mine": "1"})
    (row,) = page.context["cl"].result_list
    shown = browse("pay_admin").get(url(row)).content.decode()
    assert OTHER_IBAN in shown
    assert "Exactly what is changed" in shown
    assert "{&#x27;" not in shown


def test_every_form_asks(world: World, people: People, browse: Browse) -> None:
    add_payouts(count=1, amount=10, actor=TESTER)
    from opsconsole.treasury.models import Payout

    dev, gone = people["dev"].user, User.objects.create_user("gone", is_active=False)
    policy = Policy.objects.get(action="plan.payout_batch", active=True)
    bank_list, account_list, people_list = (
        reverse(f"admin:{name}") for name in
        ("treasury_bank_change-bank", "treasury_account_change-account", "core_user_change-user")
    )  # fmt: skip
    new_bank = {"code": "north", "name": "North", "bic": "NORTDEFFXXX", "gateway": "iso20022", "priority": "5"}
    new_account = {"bank": "sandbox", "name": "Second", "iban": OTHER_IBAN, "currency": "USD"}
    grant = {"object": "treasury.account", "object_id": str(world.account.pk), "permission": "view_account"}
    asked = [
        ("finance_ops", bank_list, new_bank),
        ("finance_ops", account_list, new_account),
        ("finance_ops", url(world.account, "change-iban"), {"name": "Other"}),
        ("finance_ops", url(Payout.objects.get(), "change-beneficiary"), {"beneficiary_name": "Other"}),
        ("admin", url(policy, "change-policy"), {"slots": "2 pay_admin", "thresholds": "over 5: 1 admin, signed"}),
        ("admin", people_list, {"username": "amina", "roles": ["ops"]}),
        ("admin", url(dev, "change-roles"), {"add": ["ops"]}),
        ("admin", url(dev, "change-grant"), grant),
        ("admin", url(dev, "change-token"), {"days": "60"}),
        ("admin", url(dev, "change-profile"), {"email": "dev@example.com"}),
        ("admin", url(gone, "change-reactivation"), {}),
    ]
    for name, address, facts in asked:
        answer = press(browse(name), address, reason="agreed", **facts)
        assert answer.status_code == 302, (address, answer.context["form"].errors)
    assert Change.objects.filter(status="requested").count() == len(asked)
    edited = Change.objects.get(kind="policy")
    assert sorted(edited.payload) == ["slots", "thresholds"]
    for change in Change.objects.all():
        assert browse("auditor").get(url(change)).status_code == 200
    assert browse("auditor").get(reverse("admin:changes_change_changelist"), {"kind": "iban"}).status_code == 200


def test_a_wrong_field_is_named(world: World, people: People, browse: Browse) -> None:
    client = browse("finance_ops")
    with nothing_changes():
        answer = press(client, url(world.account, "change-iban"), iban="DE00 1234", reason="x")
        assert answer.status_code == 400
        assert "is not an IBAN" in answer.content.decode()
        same = press(client, url(world.account, "change-iban"), reason="x")
        assert "as it is asked for already" in same.content.decode()


def test_reject_cancel_and_why_not(world: World, people: People, browse: Browse) -> None:
    for _n in range(2):
        press(browse("finance_ops"), url(world.account, "change-iban"), name="Other", reason="x")
    first, second = Change.objects.order_by("id")
    page = browse("finance_ops").get(url(first)).content.decode()
    assert "other people must approve it" in page
    assert messages_of(press(browse("pay_admin"), url(first, "reject"), reason="no")) == ["Rejected."]
    assert messages_of(press(browse("finance_ops"), url(second, "cancel"), reason="oh")) == ["It is taken back."]
    client = browse("pay_admin")
    for change in (first, second):
        with nothing_changes():
            assert send(client, url(change, "approve"), digest=change.digest).status_code == 409


def test_a_token_is_taken_by_its_owner(world: World, people: People, browse: Browse) -> None:
    press(browse("admin"), url(people["dev"].user, "change-token"), days="60", reason="report")
    change = Change.objects.get()
    for name in ("admin2", "pay_admin"):
        press(browse(name), url(change, "approve"))
        assert browse(name).get(url(change, "collect")).status_code == 403
    client = browse("dev")
    assert client.get(reverse("admin:changes_change_changelist")).status_code == 200
    (said,) = messages_of(press(client, url(change, "collect")))
    token = said.rpartition(" ")[2]
    assert user_of_token(token) == people["dev"].user
    assert AuthToken.objects.count() == 1


def test_tokens_of_ones_own(people: People, browse: Browse) -> None:
    client = browse("dev")
    listed = reverse("admin:knox_authtoken_changelist")
    (said,) = messages_of(press(client, reverse("admin:knox_authtoken_new"), days="7"))
    assert user_of_token(said.rpartition(" ")[2]) == people["dev"].user
    create_token(people["ops"].user)
    assert len(client.get(listed).context["cl"].result_list) == 1
    assert len(browse("admin").get(listed).context["cl"].result_list) == 2
    begins = AuthToken.objects.get(user=people["dev"].user).token_key
    foreign = AuthToken.objects.get(user=people["ops"].user).token_key
    with nothing_changes():
        end = reverse("admin:knox_authtoken_end")
        assert press(client, end, tokens=[foreign], reason="x").status_code == 400
    assert press(client, end, tokens=[begins], reason="lost").status_code == 302
    assert list(AuthToken.objects.values_list("user__username", flat=True)) == ["ops"]


def test_offboarding_by_button(world: World, people: People, browse: Browse) -> None:
    leaver = people["ops2"].user
    create_token(leaver)
    client = browse("pay_admin")
    assert press(client, url(leaver, "take-away"), roles=["ops"], reason="moved").status_code == 302
    assert press(client, url(leaver, "take-away"), reason="nothing").status_code == 400
    assert press(client, url(leaver, "offboard"), typed="ops", reason="left").status_code == 400
    answer = press(client, url(leaver, "offboard"), reason="left")
    assert messages_of(answer) == ["They have left. Ended: 1 token."]
    assert verbs()[-1] == "user.offboarded"
    page = client.get(url(leaver)).content.decode()
    assert 'data-action="offboard"' not in page
    assert 'data-action="change-reactivation"' in page
