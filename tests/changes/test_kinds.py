"""Every kind: asked for by those who may, agreed to, applied exactly once, stale when its record changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from guardian.shortcuts import get_user_perms
from knox.models import AuthToken

from opsconsole.approvals.defaults import POLICIES
from opsconsole.approvals.errors import SeparationOfDuties
from opsconsole.approvals.models import Policy, SignerKey
from opsconsole.changes.errors import ChangeEnded, ChangeRefused
from opsconsole.changes.kinds.base import registered
from opsconsole.changes.models import Change
from opsconsole.changes.selectors import request_of
from opsconsole.changes.services.decisions import apply_change
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied, Invalid
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.core.tokens import user_of_token
from opsconsole.journal.models import Entry
from opsconsole.notifications.gateways.signing import make_secret
from opsconsole.notifications.models import Channel
from opsconsole.treasury.models import Account, Bank, Payout
from tests.approvals.authenticator import Authenticator
from tests.changes.conftest import (
    ADDRESS,
    NEW_SECRET,
    OTHER_IBAN,
    alter,
    approve,
    ask,
    everything_written,
    nothing_changes,
    verbs,
)
from tests.notifications.world import connect
from tests.signing import give_key, give_passkey, new_public_key, read_registration, registration
from tests.world import TESTER, World, add_payouts

pytestmark = pytest.mark.django_db
People = dict[str, Actor]
DEVICE, PUBLIC_KEY = Authenticator(), new_public_key()
MONEY, RIGHTS = ("finance_ops", "finance_ops2", "pay_admin"), ("admin", "admin2", "pay_admin")


@dataclass(frozen=True)
class Case:
    """What is asked for, how the record reads before and after, and what makes it stale."""

    subject: Callable[[World], Any]
    payload: Callable[[World], dict[str, Any]]
    read: Callable[[World], Any]
    before: Any
    after: Any
    verb: str
    spoil: Callable[[World, People], None]
    people: tuple[str, str, str] = MONEY
    strangers: tuple[str, ...] = ()


def account(world: World) -> Account:
    return Account.objects.get(pk=world.account.pk)


def payout() -> Payout:
    return Payout.objects.get(external_id="PAY-00000")


def dev() -> User:
    return User.objects.get(username="dev")


def keys_held() -> list[tuple[str, str, str]]:
    return list(SignerKey.objects.values_list("user__username", "kind", "name"))


def spoil(row: Callable[[World], Any], **values: Any) -> Callable[[World, People], None]:
    return lambda world, _people: alter(row=row(world), values=values, actor=TESTER)


def somebody(**facts: Any) -> Callable[[World, People], None]:
    return lambda _world, _people: User.objects.create_user(**facts) and None


def rights(world: World) -> list[str]:
    return sorted(get_user_perms(dev(), world.account))


CASES: dict[str, Case] = {
    "gateway": Case(
        subject=lambda world: world.http.code,
        payload=lambda _world: {"base_url": ADDRESS, "secret": NEW_SECRET, "fee_per_payment": "0.25", "probing": False},
        read=lambda _world: [
            (bank.base_url, str(bank.fee_per_payment), bank.probing, bank.secret.reveal() == NEW_SECRET)
            for bank in Bank.objects.filter(code="sandbox")
        ],
        before=[("http://127.0.0.1:9", "0.20", True, False)],
        after=[(ADDRESS, "0.25", False, True)],
        verb="bank.changed",
        spoil=spoil(lambda world: world.http, fee_per_payment="9.99"),
    ),
    "bank": Case(
        subject=lambda _world: "",
        payload=lambda _world: {
            "code": "northbank", "name": "North Bank", "bic": "NORTDEFFXXX", "gateway": "http", "base_url": ADDRESS,
            "key_id": "molam-1", "secret": NEW_SECRET, "priority": 30,
        },
        read=lambda _world: [
            (bank.name, bank.status, bank.base_url, bank.secret.reveal() == NEW_SECRET)
            for bank in Bank.objects.filter(code="northbank")
        ],
        before=[],
        after=[("North Bank", "active", ADDRESS, True)],
        verb="bank.set_up",
        spoil=spoil(lambda world: world.iso, code="northbank"),
    ),
    "account": Case(
        subject=lambda _world: "",
        payload=lambda _world: {"bank": "sandbox", "name": "Second", "iban": OTHER_IBAN, "currency": "USD"},
        read=lambda _world: sorted(Account.objects.filter(currency="USD").values_list("kind", "iban")),
        before=[],
        after=[("funding", None), ("in_transit", None), ("paid_out", None), ("settlement", OTHER_IBAN)],
        verb="account.opened",
        spoil=spoil(account, iban=OTHER_IBAN),
    ),
    "iban": Case(
        subject=lambda world: world.account.pk,
        payload=lambda _world: {"iban": "DE02 1203 0000 0000 2020 51", "name": "Payouts"},
        read=lambda world: (account(world).iban == OTHER_IBAN, account(world).name),
        before=(False, "Sandbox Bank settlement"),
        after=(True, "Payouts"),
        verb="account.changed",
        spoil=spoil(account, name="Renamed"),
    ),
    "beneficiary": Case(
        subject=lambda _world: "PAY-00000",
        payload=lambda _world: {"iban": OTHER_IBAN, "beneficiary_name": "Somebody Else GmbH"},
        read=lambda _world: (payout().iban == OTHER_IBAN, payout().beneficiary_name, payout().bic),
        before=(False, "Payee 0 GmbH", "COBADEFFXXX"),
        after=(True, "Somebody Else GmbH", "COBADEFFXXX"),
        verb="payout.beneficiary_changed",
        spoil=spoil(lambda _world: payout(), beneficiary_name="A Third"),
    ),
    "channel_set_up": Case(
        subject=lambda _world: "",
        payload=lambda _world: {"name": "#ops  plans", "kind": "slack", "target": f"{ADDRESS}/{NEW_SECRET}"},
        read=lambda _world: [
            (row.name, row.kind, row.shown_target, row.active, row.target.endswith(NEW_SECRET))
            for row in Channel.objects.exclude(name="ledger")
        ],
        before=[],
        after=[("#ops plans", "slack", f"{ADDRESS}/…", True, True)],
        verb="notification.channel_added",
        spoil=lambda _world, _people: connect(
            name="#ops plans", kind="slack", target="https://example.com/x", actor=TESTER
        ) and None,
        people=RIGHTS,
    ),
    "channel_edit": Case(
        subject=lambda _world: "ledger",
        payload=lambda _world: {"target": f"{ADDRESS}/?token={NEW_SECRET}", "name": "books"},
        read=lambda _world: [
            (row.name, row.shown_target, row.target.endswith(NEW_SECRET), row.active) for row in Channel.objects.all()
        ],
        before=[("ledger", "https://ledger.example.com/hook", False, True)],
        after=[("books", f"{ADDRESS}/?…", True, True)],
        verb="notification.channel_changed",
        spoil=spoil(lambda _world: Channel.objects.get(), target="https://ledger.example.com/other"),
        people=RIGHTS,
    ),
    "policy": Case(
        subject=lambda _world: "plan.failover",
        payload=lambda _world: {"slots": "1 ops or finance_ops + 2 pay_admin", "ttl_hours": "12", "executors": ["ops"]},
        read=lambda _world: [
            (policy.version, [slot["count"] for slot in policy.slots], policy.executors, policy.ttl)
            for policy in Policy.objects.filter(action="plan.failover", active=True)
        ],
        before=[(1, [1, 1], ["finance_ops", "ops", "pay_admin"], timedelta(hours=72))],
        after=[(2, [1, 2], ["ops"], timedelta(hours=12))],
        verb="policy.changed",
        spoil=lambda _world, _people: next_version("plan.failover"),
        people=RIGHTS,
    ),
    "user": Case(
        subject=lambda _world: "",
        payload=lambda _world: {"username": "amina", "email": "amina@example.com", "roles": ["ops"], "sub": "m-1"},
        read=lambda _world: [
            (user.email, user.is_staff, sorted(user.roles), user.has_usable_password(), user.sub)
            for user in User.objects.filter(username="amina")
        ],
        before=[],
        after=[("amina@example.com", True, ["ops"], False, "m-1")],
        verb="user.created",
        spoil=somebody(username="amina"),
        people=RIGHTS,
    ),
    "profile": Case(
        subject=lambda _world: "dev",
        payload=lambda _world: {"email": "dev@example.com", "sub": "molam-4711"},
        read=lambda _world: (dev().email, dev().sub),
        before=("", None),
        after=("dev@example.com", "molam-4711"),
        verb="user.changed",
        spoil=spoil(lambda _world: dev(), email="other@example.com"),
        people=RIGHTS,
    ),
    "reactivation": Case(
        subject=lambda _world: "gone",
        payload=lambda _world: {},
        read=lambda _world: User.objects.get(username="gone").is_active,
        before=False,
        after=True,
        verb="user.reactivated",
        spoil=spoil(lambda _world: User.objects.get(username="gone"), is_active=True),
        people=RIGHTS,
    ),
    "roles": Case(
        subject=lambda _world: dev().pk,
        payload=lambda _world: {"add": ["ops", "finance_ops"], "remove": ["dev"]},
        read=lambda _world: sorted(dev().roles),
        before=["dev"],
        after=["finance_ops", "ops"],
        verb="user.roles_changed",
        spoil=spoil(lambda _world: dev(), is_active=False),
        people=RIGHTS,
    ),
    "grant": Case(
        subject=lambda _world: "dev",
        payload=lambda world: {
            "object": "treasury.account", "object_id": str(world.account.pk), "permission": "view_account",
        },
        read=rights,
        before=[],
        after=["view_account"],
        verb="user.granted",
        spoil=spoil(account, name="Renamed"),
        people=RIGHTS,
    ),
    "token": Case(
        subject=lambda _world: "dev",
        payload=lambda _world: {"days": 180},
        read=lambda _world: AuthToken.objects.filter(user=dev()).count(),
        before=0,
        after=1,
        verb="token.issued",
        spoil=spoil(lambda _world: dev(), is_active=False),
        people=RIGHTS,
    ),
    "signer_key": Case(
        subject=lambda _world: "",
        payload=lambda _world: {"name": "laptop", "public_key": PUBLIC_KEY},
        read=lambda _world: keys_held(),
        before=[],
        after=[("finance_ops", "ed25519", "laptop")],
        verb="signer_key.registered",
        spoil=lambda _world, people: give_key(name="mine", public_key=PUBLIC_KEY, actor=people["ops"]) and None,
        people=("finance_ops", "admin", "pay_admin"),
        strangers=("auditor", "dev"),
    ),
    "passkey": Case(
        subject=lambda _world: "finance_ops",
        payload=lambda _world: {"name": "phone", **registration(User.objects.get(username="finance_ops"), DEVICE)},
        read=lambda _world: keys_held(),
        before=[],
        after=[("finance_ops", "passkey", "phone")],
        verb="signer_key.registered",
        spoil=lambda _world, people: give_passkey(
            name="mine", passkey=read_registration(people["ops"].user, DEVICE), actor=people["ops"]
        ) and None,
        people=("finance_ops", "admin", "pay_admin"),
        strangers=("auditor", "dev"),
    ),
}  # fmt: skip


def next_version(action: str) -> None:
    old = Policy.objects.get(action=action, active=True)
    Policy.objects.filter(pk=old.pk).update(active=False)
    Policy.objects.create(action=action, version=old.version + 1, slots=old.slots, executors=["pay_admin"], ttl=old.ttl)


@pytest.fixture
def there(world: World, people: People, person: Callable[..., Actor]) -> World:
    """What the cases change."""
    add_payouts(count=1, amount=10, actor=TESTER)
    alter(row=person("gone", "ops").user, values={"is_active": False}, actor=TESTER)
    add_ledger(actor=TESTER)
    return world


@operation
def add_ledger(*, actor: Actor) -> None:
    """A channel from before there were changes of channels."""
    Channel.objects.create(
        name="ledger", kind="webhook", target="https://ledger.example.com/hook", secret=make_secret()
    )


def asked(case: Case, kind: str, world: World, people: People) -> Change:
    return ask(kind, case.subject(world), case.payload(world), people[case.people[0]])


def test_every_kind_is_here_and_has_a_policy() -> None:
    names = {kind.name for kind in registered()}
    assert names == set(CASES)
    assert {f"change.{name}" for name in names} <= POLICIES.keys()
    assert {name for name in POLICIES if name.startswith("change.")} == {f"change.{name}" for name in names}


@pytest.mark.parametrize("kind", sorted(CASES))
def test_applied_exactly_once(there: World, people: People, kind: str) -> None:
    case, last = CASES[kind], ""
    assert case.read(there) == case.before
    change = asked(case, kind, there, people)
    first, second = (people[name] for name in case.people[1:])
    done = approve(change, first)
    assert (done.status, case.read(there)) == ("requested", case.before)
    done = approve(change, second)
    if kind == "token":
        assert done.status == "approved"
        done, last = apply_change(change_id=change.pk, actor=people["dev"])
    assert (done.status, done.failure) == ("applied", "")
    assert case.read(there) == case.after
    entries = Entry.objects.filter(verb=case.verb).order_by("seq")
    assert all(entry.content["after"]["change"] == str(change.pk) for entry in entries)
    assert len(entries) == (4 if kind == "account" else 1)
    with nothing_changes(), pytest.raises(ChangeEnded):
        approve(change, second)
    with nothing_changes(), pytest.raises((ChangeEnded, Denied)):
        apply_change(change_id=change.pk, actor=people["dev" if kind == "token" else case.people[2]])
    written = everything_written()
    assert NEW_SECRET not in written
    assert not last or last not in written


@pytest.mark.parametrize("kind", sorted(CASES))
def test_stale_when_its_record_changed_meanwhile(there: World, people: People, kind: str) -> None:
    case = CASES[kind]
    change = asked(case, kind, there, people)
    approve(change, people[case.people[1]])
    case.spoil(there, people)
    spoiled, entries = case.read(there), verbs().count(case.verb)
    done = approve(change, people[case.people[2]])
    if kind == "token":
        done, given = apply_change_as_owner(change, people["dev"])
        assert given == ""
    assert done.status == "stale"
    assert done.failure
    assert case.read(there) == spoiled
    assert verbs().count(case.verb) == entries
    assert request_of(change).status == "void"


def apply_change_as_owner(change: Change, owner: Actor) -> tuple[Change, str]:
    """The owner has left: nobody can take it any more, so the change is taken as if they had pressed in time."""
    alter(row=dev(), values={"is_active": True}, actor=TESTER)
    AuthToken.objects.all().delete()
    with_other_roles = dev()
    with_other_roles.groups.clear()
    return apply_change(change_id=change.pk, actor=Actor.of(User.objects.get(pk=owner.user.pk)))


@pytest.mark.parametrize("kind", sorted(CASES))
def test_who_may_not_ask_changes_nothing(there: World, people: People, kind: str) -> None:
    case = CASES[kind]
    strangers = {"ops", "auditor", "dev"} | ({"admin"} if case.people == MONEY else {"finance_ops"})
    for name in case.strangers or strangers:
        with nothing_changes(), pytest.raises(Denied):
            ask(kind, case.subject(there), case.payload(there), people[name])


@pytest.mark.parametrize("kind", ["profile", "roles", "grant", "token"])
def test_the_person_it_is_about_never_approves(there: World, people: People, kind: str) -> None:
    payload = (
        {"sub": "m-9"} if kind == "profile" else {"add": ["ops"]} if kind == "roles" else CASES[kind].payload(there)
    )
    change = ask(kind, "admin2", payload, people["admin"])
    with nothing_changes(), pytest.raises(SeparationOfDuties):
        approve(change, people["admin2"])
    with nothing_changes(), pytest.raises(SeparationOfDuties):
        approve(change, people["admin"])


def test_only_its_owner_takes_a_token(there: World, people: People) -> None:
    change = ask("token", "dev", {"days": 180}, people["admin"])
    approve(change, people["admin2"], people["pay_admin"])
    for name in ("admin", "admin2", "pay_admin", "auditor"):
        with nothing_changes(), pytest.raises(Denied):
            apply_change(change_id=change.pk, actor=people[name])
    _done, token = apply_change(change_id=change.pk, actor=people["dev"])
    assert user_of_token(token) == people["dev"].user
    narrow = User.objects.get(username="dev")
    narrow.narrow_to(["dev"])
    again = ask("token", "dev", {"days": 10}, people["admin"])
    approve(again, people["admin2"], people["pay_admin"])
    with nothing_changes(), pytest.raises(Denied):
        apply_change(change_id=again.pk, actor=Actor.of(narrow))


def test_a_grant_is_of_a_right_that_the_object_has(there: World, people: People) -> None:
    where = {"object": "treasury.account", "object_id": str(there.account.pk)}
    for wrong in ({"permission": "view_bank"}, {}, {"permission": "view_account", "role": "ops"}):
        with nothing_changes(), pytest.raises(Invalid):
            ask("grant", "dev", {**where, **wrong}, people["admin"])
    with nothing_changes(), pytest.raises(ChangeRefused):
        ask("grant", "dev", {**where, "role": "trader"}, people["admin"])
    change = ask("grant", "dev", {**where, "role": "auditor"}, people["admin"])
    assert approve(change, people["admin2"], people["pay_admin"]).status == "applied"
    assert rights(there) == ["view_account"]


def test_a_beneficiary_that_a_plan_has_hold_of_stands(there: World, people: People, superuser: Any) -> None:
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update treasury_payouts set status = 'settled'")
    with nothing_changes(), pytest.raises(ChangeRefused):
        ask("beneficiary", "PAY-00000", {"iban": OTHER_IBAN}, people["finance_ops"])


def test_a_policy_that_asks_for_less_says_so(there: World, people: People) -> None:
    change = ask("policy", "plan.payout_batch", {"slots": "1 pay_admin", "thresholds": []}, people["admin"])
    assert change.warnings == ["Fewer people must agree than before: 1 instead of 2.", "A threshold falls away."]
    signed = ask("policy", "plan.payout_batch", {"signature_required": True}, people["admin"])
    assert any("signer key" in warning for warning in signed.warnings)
    more = ask("policy", "plan.payout_batch", {"thresholds": "over 500: 2 pay_admin, signed"}, people["admin"])
    assert approve(more, people["admin2"], people["pay_admin"]).status == "applied"
    policy = Policy.objects.get(action="plan.payout_batch", active=True)
    assert policy.thresholds == [
        {
            "of": "any_currency_sum",
            "over": "500.00",
            "slots": [{"roles": ["pay_admin"], "count": 2}],
            "signature_required": True,
        }
    ]
    assert approve(change, people["admin2"], people["pay_admin"]).status == "stale"
