"""A key counts once others have agreed that it is its owner's: a stolen session gets no say by adding one."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import OperationalError, connection
from django.test import Client
from rest_framework.test import APIClient

from opsconsole.approvals import signatures
from opsconsole.approvals.errors import (
    PasskeyRefused,
    SeparationOfDuties,
    SignatureInvalid,
    SignatureRequired,
    SignerKeyTaken,
)
from opsconsole.approvals.models import Decision, Request, SignerKey
from opsconsole.approvals.passkeys import Assertion, challenge_of
from opsconsole.approvals.selectors import text_to_sign
from opsconsole.approvals.services import decide_request
from opsconsole.changes.errors import ChangeEnded
from opsconsole.changes.models import Change
from opsconsole.changes.selectors import request_of
from opsconsole.changes.services.decisions import reject_change
from opsconsole.changes.services.requests import cancel_change, request_change
from opsconsole.core.actors import SYSTEM, Actor, shell_actor
from opsconsole.core.errors import Denied, Invalid
from opsconsole.core.idempotency import Answer, RequestKey
from opsconsole.core.models import OutboxEvent, User
from opsconsole.identity.offboarding import offboard_user
from opsconsole.journal.models import Entry
from tests.approvals.authenticator import Authenticator
from tests.approvals.conftest import PAYOUT, make_subject, set_policy
from tests.approvals.conftest import ask as ask_approval
from tests.approvals.test_races import at_once
from tests.architecture.source import modules
from tests.changes.conftest import approve, ask, nothing_changes, people, verbs
from tests.signing import give_key, new_public_key, registration

__all__ = ["people"]

pytestmark = pytest.mark.django_db
People = dict[str, Actor]
KEYS, LIST = "/api/signer-keys", "/admin/approvals/signerkey/"
BOTH = ("admin", "pay_admin")


def ask_for_key(actor: Actor, public_key: str = "") -> Change:
    return ask("signer_key", "", {"name": "laptop", "public_key": public_key or new_public_key()}, actor)


def ask_for_passkey(actor: Actor, device: Authenticator) -> Change:
    assert actor.user is not None
    return ask("passkey", "", {"name": "phone", **registration(actor.user, device)}, actor)


def agree(change: Change, people: People, *names: str) -> Change:
    return approve(change, *(people[name] for name in names or BOTH))


def logged_in(actor: Actor) -> Client:
    assert actor.user is not None
    client = Client()
    client.force_login(actor.user, "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def wanted(people: People) -> Request:
    """A request for one signed approval of finance_ops."""
    set_policy(PAYOUT, slots=[{"roles": ["finance_ops"], "count": 1}], signature_required=True)
    return ask_approval(actor=people["ops"], subject_id=make_subject(actor=SYSTEM("test")))


def say_yes(request: Request, actor: Actor, signature: str | Assertion) -> Request:
    return decide_request(request_id=request.pk, approved=True, comments="", signature=signature, actor=actor)


class TestAStolenSession:
    """What its thief tries: a key of their own in the owner's name, and approvals signed with it."""

    def test_a_key_signs_nothing_before_others_have_agreed(self, wanted: Request, people: People) -> None:
        stolen, key = people["finance_ops"], Ed25519PrivateKey.generate()
        change = ask_for_key(stolen, signatures.stored(key.public_key().public_bytes_raw()))
        signed = base64.b64encode(key.sign(text_to_sign(wanted, stolen).encode())).decode()
        for agreed in ([], ["admin"]):
            agree(change, people, *agreed) if agreed else None
            with nothing_changes():
                with pytest.raises(SignatureInvalid):
                    say_yes(wanted, stolen, signed)
                with pytest.raises(SignatureRequired):
                    say_yes(wanted, stolen, "")
        assert not SignerKey.objects.exists()
        assert agree(change, people, "pay_admin").status == "applied"
        assert say_yes(wanted, stolen, signed).status == "approved"

    def test_nor_does_a_passkey(self, wanted: Request, people: People) -> None:
        stolen, device = people["finance_ops"], Authenticator()
        change = ask_for_passkey(stolen, device)
        agree(change, people, "admin")
        signed = Assertion.parse(device.get(challenge_of(text_to_sign(wanted, stolen))))
        with nothing_changes(), pytest.raises(SignatureInvalid):
            say_yes(wanted, stolen, signed)
        assert agree(change, people, "pay_admin").status == "applied"
        assert say_yes(wanted, stolen, signed).status == "approved"
        assert Decision.objects.get(request=wanted).signer_key.credential_id == change.after["credential_id"]

    @pytest.mark.parametrize("owner", BOTH)
    def test_nobody_agrees_to_their_own(self, people: People, owner: str) -> None:
        change = ask_for_key(people[owner])
        assert change.concerned == [people[owner].id]
        with nothing_changes(), pytest.raises(SeparationOfDuties):
            agree(change, people, owner)
        others = {"admin": ("admin2", "pay_admin"), "pay_admin": ("admin", "pay_admin2")}[owner]
        assert agree(change, people, *others).status == "applied"

    def test_rejected_or_taken_back_there_is_no_key(self, people: People) -> None:
        first, second = ask_for_key(people["finance_ops"]), ask_for_key(people["finance_ops"])
        agree(first, people, "admin")
        reject_change(change_id=first.pk, reason="they never asked for it", actor=people["pay_admin"])
        cancel_change(change_id=second.pk, reason="a mistake", actor=people["finance_ops"])
        for change in (first, second):
            with nothing_changes(), pytest.raises(ChangeEnded):
                agree(change, people, "admin2")
        assert not SignerKey.objects.exists()

    def test_a_person_who_left_gets_none(self, people: People) -> None:
        change = ask_for_key(people["finance_ops"])
        agree(change, people, "admin")
        assert people["finance_ops"].user is not None
        offboard_user(user_id=people["finance_ops"].user.pk, reason="left", actor=people["admin2"])
        with pytest.raises(ChangeEnded):
            agree(change, people, "pay_admin")
        assert not SignerKey.objects.exists()


def test_only_the_change_gives_a_key() -> None:
    """No other module of the product calls what registers one, nor writes such a row."""
    giving = ("add_ed25519_key(", "add_passkey(", "SignerKey.objects.create", "SignerKey(")
    found = {module.name for module in modules() if any(call in module.text for call in giving)}
    assert found == {"opsconsole.approvals.keys", "opsconsole.approvals.models", "opsconsole.identity.changes.keys"}


class TestAsking:
    def test_what_approvers_see(self, people: People) -> None:
        key = new_public_key()
        change = ask_for_key(people["finance_ops"], key)
        print_ = signatures.fingerprint(base64.b64decode(key))
        assert change.title == "Ed25519 key of finance_ops: laptop"
        assert change.after == {
            "owner": "finance_ops", "name": "laptop", "kind": "Ed25519 key", "fingerprint": print_, "public_key": key,
        }  # fmt: skip
        assert set(change.before.values()) == {None}
        assert print_ in Entry.objects.get(verb="change.requested").body
        passkey = ask_for_passkey(people["ops"], device := Authenticator())
        assert passkey.title == "Passkey of ops: phone"
        assert (passkey.after["kind"], passkey.after["rp_id"]) == ("passkey", device.rp_id)
        page = logged_in(people["pay_admin"]).get(f"/admin/changes/change/{passkey.pk}/change/").content.decode()
        for shown in ("localhost", passkey.after["fingerprint"], "Call them on a number that you know"):
            assert shown in page
        assert "asked" not in passkey.payload

    def test_applied_by_whoever_completes_it_and_told(self, people: People) -> None:
        change = agree(ask_for_passkey(people["finance_ops"], Authenticator()), people)
        key = SignerKey.objects.select_related("user").get()
        assert (key.user.username, key.name, key.rp_id, key.sign_count) == ("finance_ops", "phone", "localhost", 0)
        entry = Entry.objects.get(verb="signer_key.registered")
        assert (entry.actor_name, entry.content["reason"]) == ("pay_admin", "agreed by letter")
        assert entry.content["after"] == {
            "user": people["finance_ops"].id, "name": "phone", "fingerprint": change.after["fingerprint"],
            "kind": "passkey", "rp_id": "localhost", "change": str(change.pk), "requested_by": "finance_ops",
        }  # fmt: skip
        assert OutboxEvent.objects.filter(topic="signer_key.registered").count() == 1

    def test_for_oneself_alone(self, people: People) -> None:
        payload = {"name": "x", "public_key": new_public_key()}
        for subject in ("ops", str(people["ops"].id), "nobody-here"):
            with nothing_changes(), pytest.raises(Denied):
                ask("signer_key", subject, payload, people["finance_ops"])
        with nothing_changes(), pytest.raises(Denied):
            ask("signer_key", "", payload, shell_actor())

    @pytest.mark.parametrize("public_key", ["AAAA", "-----BEGIN PRIVATE KEY-----\nxx\n", ""])
    def test_what_is_no_key(self, people: People, public_key: str) -> None:
        with nothing_changes(), pytest.raises(Invalid):
            ask("signer_key", "", {"name": "x", "public_key": public_key}, people["ops"])

    def test_a_passkey_proves_itself_first(self, people: People) -> None:
        begun = registration(people["ops"].user, Authenticator())
        wrong = registration(people["finance_ops"].user, Authenticator(origin="https://evil.example"))
        for payload in (begun, wrong, {**begun, "asked": "x"}, {**begun, "passkey": {"response": 1}}):
            with nothing_changes(), pytest.raises(PasskeyRefused):
                ask("passkey", "", {"name": "x", **payload}, people["finance_ops"])
        proven = ask_for_passkey(people["ops"], Authenticator()).payload
        with nothing_changes(), pytest.raises(Invalid):
            ask("passkey", "", proven, people["finance_ops"])

    def test_one_that_is_registered(self, people: People) -> None:
        key = give_key(name="mine", public_key=new_public_key(), actor=people["ops"])
        for name in ("ops", "finance_ops"):
            with nothing_changes(), pytest.raises(SignerKeyTaken):
                ask_for_key(people[name], key.public_key)

    def test_taken_back_by_oneself_or_by_those_who_take_away(self, people: People) -> None:
        change = ask_for_key(people["finance_ops"])
        for name in ("ops", "finance_ops2"):
            with nothing_changes(), pytest.raises(Denied):
                cancel_change(change_id=change.pk, reason="not mine", actor=people[name])
        assert cancel_change(change_id=change.pk, reason="a thief's", actor=people["admin"]).status == "cancelled"


class TestOnce:
    def test_a_key_taken_meanwhile_fails_the_change(self, people: People) -> None:
        public = new_public_key()
        mine, theirs = ask_for_key(people["finance_ops"], public), ask_for_key(people["ops"], public)
        assert agree(mine, people).status == "applied"
        done = agree(theirs, people)
        assert (done.status, done.failure) == (
            "stale", "It can no longer be done as it was shown: This key is registered already.",
        )  # fmt: skip
        assert request_of(theirs).status == "void"
        assert SignerKey.objects.get().user == people["finance_ops"].user

    @pytest.mark.django_db(transaction=True)
    def test_two_changes_for_one_key_at_the_same_moment(self, people: People) -> None:
        public = new_public_key()
        changes = [ask_for_key(people[name], public) for name in ("finance_ops", "ops")]
        for change in changes:
            agree(change, people, "admin")
        calls = [
            lambda change=change, name=name: agree(change, people, name).status
            for change, name in zip(changes, ("pay_admin", "pay_admin2"), strict=True)
        ]
        outcomes = sorted(map(str, at_once(*calls)))
        assert outcomes in (["applied", "failed"], ["applied", "stale"]), outcomes
        assert SignerKey.objects.count() == 1
        assert verbs().count("signer_key.registered") == 1

    @pytest.mark.django_db(transaction=True)
    def test_two_presses_of_the_last_approval(self, people: People) -> None:
        change = ask_for_key(people["finance_ops"])
        agree(change, people, "admin")
        outcomes = at_once(*[lambda: agree(change, people, "pay_admin").status] * 3)
        assert [str(one) for one in outcomes].count("applied") == 1
        assert SignerKey.objects.count() == 1

    @pytest.mark.django_db(transaction=True)
    def test_a_crash_as_it_is_applied_leaves_nothing(self, people: People, dying: Callable[[bool], None]) -> None:
        change = ask_for_key(people["finance_ops"])
        agree(change, people, "admin")
        dying(True)
        with nothing_changes():
            with pytest.raises(OperationalError):
                agree(change, people, "pay_admin")
            connection.close()
        dying(False)
        assert agree(change, people, "pay_admin").status == "applied"
        assert SignerKey.objects.count() == verbs().count("signer_key.registered") == 1

    def test_one_key_of_idempotency_asks_once(self, people: People) -> None:
        key = RequestKey(scope="x", key=str(uuid4()), fingerprint=hashlib.sha256(b"x").digest())
        said = {"name": "phone", **registration(people["ops"].user, Authenticator())}

        def press() -> Answer:
            return request_change.once(
                key, lambda change: Answer(202, {"id": change.pk}),
                kind="passkey", subject="", payload=said, reason="x", actor=people["ops"],
            )  # fmt: skip

        first, second = press(), press()
        assert second.replayed
        assert str(first.body["id"]) == second.body["id"]
        assert Change.objects.count() == 1


@pytest.fixture
def dying(superuser: psycopg.Connection[Any]) -> Iterator[Callable[[bool], None]]:
    """`dying(True)`: the connection dies as soon as a key is written, as if the process had been killed."""

    def arm(on: bool) -> None:  # noqa: FBT001 - on or off
        superuser.execute("drop trigger if exists die on approvals_signer_keys")
        if on:
            superuser.execute(
                "create trigger die after insert on approvals_signer_keys for each row execute function die()"
            )

    superuser.execute(
        "create or replace function die() returns trigger language plpgsql as"
        " $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$"
    )
    yield arm
    arm(False)
    superuser.execute("drop function die()")


class TestDoors:
    def test_over_the_api(self, people: People, api: Callable[..., APIClient]) -> None:
        client, body = api("finance_ops"), {"name": "laptop", "public_key": new_public_key(), "reason": "a new laptop"}
        asked = client.post(KEYS, body, headers={"Idempotency-Key": "k-1"})
        assert (asked.status_code, asked.json()["kind"], asked.json()["reason"]) == (202, "signer_key", "a new laptop")
        assert asked["Location"] == f"/api/changes/{asked.json()['id']}"
        assert "same fingerprint" in asked.json()["advice"]
        assert asked.json()["slots"]["open"] == [{"roles": [role], "count": 1} for role in BOTH]
        again = client.post(KEYS, body, headers={"Idempotency-Key": "k-1"})
        assert (again.status_code, again["Idempotency-Replayed"], again["Location"]) == (202, "true", asked["Location"])
        other = client.post(KEYS, {**body, "name": "y"}, headers={"Idempotency-Key": "k-1"})
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert Change.objects.count() == 1
        assert client.get(KEYS).json()["results"] == []
        own = client.post(f"{asked['Location']}/approve", {})
        assert (own.status_code, own.json()["code"]) == (403, "separation_of_duties")
        for name in BOTH:
            done = api(name).post(f"{asked['Location']}/approve", {})
        assert done.json()["status"] == "applied"
        (key,) = client.get(KEYS).json()["results"]
        assert key["fingerprint"] == asked.json()["after"]["fingerprint"]

    def test_a_passkey_by_the_form(self, people: People) -> None:
        client, device = logged_in(people["finance_ops"]), Authenticator()
        page = client.get(f"{LIST}register-passkey/")
        options = page.context["form"].fields["passkey"].widget.options
        sent = {
            "key": str(uuid4()), "name": "phone", "reason": "a new phone",
            "passkey": json.dumps(device.create(options)), "asked": page.context["form"].initial["asked"],
        }  # fmt: skip
        for _press in range(2):
            answer = client.post(f"{LIST}register-passkey/", sent)
            change = Change.objects.get()
            assert answer["Location"] == f"/admin/changes/change/{change.pk}/change/"
        assert f"/admin/changes/change/{change.pk}/change/" in client.get(LIST).content.decode()
        known = client.get(f"{LIST}register-passkey/").context["form"].fields["passkey"].widget.options
        assert [one["id"] for one in known["excludeCredentials"]] == [change.after["credential_id"]]
        assert not SignerKey.objects.exists()
        assert agree(change, people).status == "applied"
        assert User.objects.get(signer_keys__kind="passkey").username == "finance_ops"
