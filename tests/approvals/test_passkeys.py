"""Passkeys as signatures: registered by their owner, good for one text, and provable from what is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.core import signing
from django.db import IntegrityError
from django.test import Client
from rest_framework.test import APIClient

from opsconsole.approvals import passkeys, selectors, services, signed
from opsconsole.approvals.errors import (
    NoOpenSlot,
    PasskeyRefused,
    QuorumIncomplete,
    SignatureInvalid,
    SignatureRequired,
    SignerKeyTaken,
)
from opsconsole.approvals.models import Decision, Request, SignerKey
from opsconsole.approvals.passkeys import Assertion
from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from tests.approvals.authenticator import PRESENT, Authenticator, b64url
from tests.approvals.conftest import (
    PAYOUT,
    People,
    Unchanged,
    approve,
    ask,
    change,
    pen_of,
    reject,
    revoke,
    set_policy,
    use,
)
from tests.signing import give_passkey, read_registration

pytestmark = pytest.mark.django_db
Quiet = Callable[[], Unchanged]
FINANCE = [{"roles": ["finance_ops"], "count": 1}]


def passkey_of(actor: Actor, device: Authenticator | None = None) -> Authenticator:
    """A registered passkey of this person."""
    device = device or Authenticator()
    give_passkey(name="phone", passkey=read_registration(actor.user, device), actor=actor)
    return device


def answer(device: Authenticator, text: str) -> Assertion:
    return Assertion.parse(device.get(hashlib.sha256(text.encode()).digest()))


@pytest.fixture
def bob(person: People) -> Actor:
    return person("bob", "finance_ops")


@pytest.fixture
def wanted(requester: Actor, subject: str) -> Request:
    """A request for one signed approval of finance_ops."""
    set_policy(PAYOUT, slots=FINANCE, signature_required=True)
    return ask(actor=requester, subject_id=subject)


class TestSigning:
    def test_a_passkey_signs_where_a_signature_is_wanted(self, wanted: Request, bob: Actor) -> None:
        device = passkey_of(bob)
        request = approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))
        assert request.status == "approved"
        decision = Decision.objects.select_related("signer_key").get()
        assert decision.signer_key.sign_count == 1
        assert decision.signer_key.credential_id == b64url(device.credential_id)
        assert signed.proves_itself(decision)
        entry = Entry.objects.get(verb="approval.approved")
        assert entry.content["after"]["assertion"] == decision.assertion
        assert use(request=request, actor=bob).status == "consumed"

    def test_it_is_not_needed_where_a_key_signs(self, wanted: Request, bob: Actor) -> None:
        passkey_of(bob)
        pen = pen_of(bob)
        approve(wanted, bob, signature=pen.sign(selectors.text_to_sign(wanted, bob)))
        decision = Decision.objects.get()
        assert decision.assertion is None
        assert signed.proves_itself(decision)

    def test_without_either_it_is_refused(self, wanted: Request, bob: Actor, unchanged: Quiet) -> None:
        passkey_of(bob)
        with unchanged(), pytest.raises(SignatureRequired):
            approve(wanted, bob)

    def test_another_text(self, wanted: Request, bob: Actor, unchanged: Quiet) -> None:
        device = passkey_of(bob)
        text = selectors.text_to_sign(wanted, bob).replace("approve", "reject")
        with unchanged(), pytest.raises(SignatureInvalid, match="challenge"):
            approve(wanted, bob, signature=answer(device, text))

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ({"origin": "https://evil.example"}, "not of this console"),
            ({"origin": "http://localhost.evil.example:8000"}, "not of this console"),
            ({"origin": "https://notlocalhost"}, "not of this console"),
            ({"rp_id": "evil.example"}, "RP ID"),
            ({"flags": PRESENT}, "user was not verified"),
            ({"cross_origin": True}, "not of this console"),
        ],
    )
    def test_from_another_page_or_without_its_user(
        self, wanted: Request, bob: Actor, unchanged: Quiet, fault: dict[str, Any], message: str
    ) -> None:
        device = passkey_of(bob)
        for name, value in fault.items():
            setattr(device, name, value)
        with unchanged(), pytest.raises(SignatureInvalid, match=message):
            approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))

    def test_origins_that_are_named_are_the_only_ones(
        self, wanted: Request, bob: Actor, unchanged: Quiet, settings: Any
    ) -> None:
        device = passkey_of(bob)
        settings.WEBAUTHN_ORIGINS = ["https://localhost"]
        with unchanged(), pytest.raises(SignatureInvalid, match="not of this console"):
            approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))
        device.origin = "https://localhost"
        assert approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob))).status == "approved"

    def test_every_flipped_byte_is_noticed(self, wanted: Request, bob: Actor) -> None:
        device = passkey_of(bob)
        approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))
        decision = Decision.objects.select_related("signer_key").get()
        for name in ("client_data_json", "authenticator_data"):
            stored = decision.assertion[name]
            for place in range(0, len(stored), 7):
                other = "A" if stored[place] != "A" else "B"
                decision.assertion = {**decision.assertion, name: stored[:place] + other + stored[place + 1 :]}
                assert not signed.proves_itself(decision), (name, place)
            decision.assertion = {**decision.assertion, name: stored}
        assert signed.proves_itself(decision)
        decision.nth = 2
        assert not signed.proves_itself(decision)

    def test_an_answer_is_good_for_one_request_and_one_time(
        self, wanted: Request, bob: Actor, unchanged: Quiet
    ) -> None:
        device = passkey_of(bob)
        first = answer(device, selectors.text_to_sign(wanted, bob))
        approve(wanted, bob, signature=first)
        revoke(wanted, bob)
        with unchanged(), pytest.raises(SignatureInvalid):  # another round is another text
            approve(wanted, bob, signature=first)
        assert "round: 2" in selectors.text_to_sign(wanted, bob)
        assert approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob))).status == "approved"

    def test_a_counter_that_goes_back_is_a_copied_authenticator(
        self, wanted: Request, bob: Actor, unchanged: Quiet
    ) -> None:
        device = passkey_of(bob)
        device.counter = 7
        approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))
        revoke(wanted, bob)
        device.counter = 7  # the copy signs its eighth as well
        with unchanged(), pytest.raises(SignatureInvalid, match="count"):
            approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))

    def test_authenticators_without_a_counter_count_nothing(self, wanted: Request, bob: Actor) -> None:
        device = passkey_of(bob)
        for _n in range(2):
            device.counter = -1
            approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))
            revoke(wanted, bob)
        assert SignerKey.objects.get().sign_count == 0

    def test_another_persons_passkey(self, wanted: Request, bob: Actor, person: People, unchanged: Quiet) -> None:
        carol = person("carol", "finance_ops")
        device = passkey_of(carol)
        with unchanged(), pytest.raises(SignatureInvalid, match="none of your passkeys"):
            approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))

    def test_a_revoked_passkey(self, wanted: Request, bob: Actor, unchanged: Quiet) -> None:
        device = passkey_of(bob)
        services.revoke_signer_key(key_id=SignerKey.objects.get().pk, actor=bob)
        with unchanged(), pytest.raises(SignatureInvalid, match="none of your passkeys"):
            approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))

    def test_an_approval_stops_counting_when_its_passkey_is_revoked(
        self, wanted: Request, bob: Actor, unchanged: Quiet
    ) -> None:
        device = passkey_of(bob)
        request = approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))
        services.revoke_signer_key(key_id=SignerKey.objects.get().pk, actor=bob)
        with unchanged(), pytest.raises(QuorumIncomplete) as refused:
            use(request=request, actor=bob)
        assert refused.value.fields["objections"] == {"bob": "the key it was signed with is revoked"}

    def test_a_passkey_pasted_onto_a_decision_counts_nothing(self, wanted: Request, bob: Actor) -> None:
        device = passkey_of(bob)
        approve(wanted, bob, signature=answer(device, selectors.text_to_sign(wanted, bob)))
        decision = Decision.objects.select_related("signer_key").get()
        decision.assertion = None
        assert not signed.proves_itself(decision)

    def test_a_rejection_can_be_signed_too(self, wanted: Request, bob: Actor) -> None:
        device = passkey_of(bob)
        text = selectors.text_to_sign(wanted, bob).replace("approve", "reject")
        assert reject(wanted, bob, signature=answer(device, text)).status == "rejected"
        assert signed.proves_itself(Decision.objects.select_related("signer_key").get())


class TestRegistering:
    def test_what_is_kept(self, bob: Actor) -> None:
        device = passkey_of(bob)
        key = SignerKey.objects.get()
        assert (key.kind, key.rp_id, key.sign_count, key.user_id) == ("passkey", "localhost", 0, bob.user.pk)
        entry = Entry.objects.get(verb="signer_key.registered")
        assert entry.content["after"]["kind"] == "passkey"
        assert device.rp_id == entry.content["after"]["rp_id"]

    @pytest.mark.parametrize(
        "fault", [{"origin": "https://evil.example"}, {"rp_id": "evil.example"}, {"flags": PRESENT}]
    )
    def test_from_another_page_or_without_its_user(self, bob: Actor, fault: dict[str, Any]) -> None:
        with pytest.raises(PasskeyRefused):
            passkey_of(bob, Authenticator(**fault))
        assert not SignerKey.objects.exists()

    def test_the_answer_to_another_question(self, bob: Actor) -> None:
        device = Authenticator()
        _, token = passkeys.ask_to_register(bob.user, [])
        with pytest.raises(PasskeyRefused, match="challenge"):
            passkeys.read_registration(
                credential=device.create({"challenge": b64url(b"another")}), token=token, user=bob.user
            )

    def test_a_registration_that_somebody_else_began(self, bob: Actor, person: People) -> None:
        device = Authenticator()
        options, token = passkeys.ask_to_register(bob.user, [])
        with pytest.raises(PasskeyRefused, match="somebody else"):
            passkeys.read_registration(credential=device.create(options), token=token, user=person("eve").user)

    def test_a_page_that_was_open_too_long(self, bob: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
        device = Authenticator()
        options, token = passkeys.ask_to_register(bob.user, [])
        now = signing.time.time()
        monkeypatch.setattr(signing.time, "time", lambda: now + 601)
        with pytest.raises(PasskeyRefused, match="open for too long"):
            passkeys.read_registration(credential=device.create(options), token=token, user=bob.user)

    def test_nobody_registers_it_twice(self, bob: Actor, person: People) -> None:
        device = passkey_of(bob)
        with pytest.raises(SignerKeyTaken):
            passkey_of(person("carol", "finance_ops"), device)
        assert SignerKey.objects.count() == 1

    @pytest.mark.parametrize("rubbish", [{}, {"response": {}}, {"response": {"clientDataJSON": "!"}}, {"response": 1}])
    def test_rubbish(self, bob: Actor, rubbish: dict[str, Any]) -> None:
        _, token = passkeys.ask_to_register(bob.user, [])
        with pytest.raises(PasskeyRefused):
            passkeys.read_registration(credential=rubbish, token=token, user=bob.user)

    def test_the_database_keeps_it(self, bob: Actor) -> None:
        passkey_of(bob)
        key = SignerKey.objects.get()
        change(key, sign_count=5)
        for values in ({"sign_count": 4}, {"rp_id": "other"}, {"credential_id": "x"}, {"kind": "ed25519"}):
            with pytest.raises(IntegrityError):
                change(key, **values)


class TestDoors:
    def test_over_the_api(self, wanted: Request, bob: Actor, api: Callable[..., APIClient]) -> None:
        device = passkey_of(bob)
        client = api("bob")
        listed = client.get("/api/signer-keys").json()["results"][0]
        assert (listed["kind"], listed["credential_id"]) == ("passkey", b64url(device.credential_id))
        text = client.get(f"/api/approvals/{wanted.pk}").json()["signing_text"]
        given = device.get(hashlib.sha256(text.encode()).digest())
        url = f"/api/approvals/{wanted.pk}/approve"
        both = client.post(url, {"approved": True, "signature": "AAAA", "passkey": given})
        assert (both.status_code, both.json()["code"]) == (422, "signature_invalid")
        done = client.post(url, {"approved": True, "passkey": given})
        assert done.status_code == 200, done.json()
        assert done.json()["decisions"][0]["assertion"] == {
            "client_data_json": given["response"]["clientDataJSON"],
            "authenticator_data": given["response"]["authenticatorData"],
        }

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"id": "x"}, 400),
            ({"id": "x", "response": {"clientDataJSON": "é", "authenticatorData": "AA", "signature": "AA"}}, 422),
            ({"id": "x", "response": {"clientDataJSON": "AA", "authenticatorData": "AA", "signature": "AA"}}, 422),
            ({"id": "x" * 5000, "response": {}}, 400),
        ],
    )
    def test_rubbish_over_the_api(
        self, wanted: Request, bob: Actor, api: Callable[..., APIClient], unchanged: Quiet, body: Any, status: int
    ) -> None:
        client = api("bob")
        with unchanged():
            answered = client.post(f"/api/approvals/{wanted.pk}/approve", {"approved": True, "passkey": body})
        assert answered.status_code == status, answered.json()

    def test_who_sees_keys(self, bob: Actor, person: People) -> None:
        """The auditor and the administrator see everybody's, others their own."""
        passkey_of(bob)
        pen_of(person("ops"))
        seen = {}
        for name in ("auditor", "admin", "ops", "dev"):
            client = Client()
            client.force_login(person(name).user, "django.contrib.auth.backends.ModelBackend")
            page = client.get("/admin/approvals/signerkey/")
            seen[name] = page.content.count(b"field-owner") if page.status_code == 200 else page.status_code
        assert seen == {"auditor": 2, "admin": 2, "ops": 1, "dev": 403}


class TestNarrowed:
    def test_an_approval_given_by_a_narrowed_credential_fills_no_other_place(
        self, requester: Actor, subject: str, person: People
    ) -> None:
        set_policy(PAYOUT, slots=[{"roles": ["finance_ops"], "count": 1}, {"roles": ["pay_admin"], "count": 1}])
        request = ask(actor=requester, subject_id=subject)
        both = person("both", "finance_ops", "pay_admin")
        both.user.narrow_to(["pay_admin"])
        request = approve(request, both)
        other = person("other", "pay_admin")
        with pytest.raises(NoOpenSlot, match="Still needed: 1 finance_ops"):
            approve(request, other)  # otherwise `both` would move to the place of finance_ops
        assert Decision.objects.get().within == ["pay_admin"]
