"""Molam ID tokens at the API's door: real keys, every way of forging one, and roles that are only ever narrowed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.contenttypes.models import ContentType
from guardian.shortcuts import assign_perm
from rest_framework.test import APIClient

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation
from opsconsole.journal.models import Entry
from opsconsole.treasury.models import Bank, Payout
from tests.architecture.source import ROOT
from tests.world import TESTER, add_payouts

pytestmark = pytest.mark.django_db
AUDIENCE = "opsconsole"


def pem(key: RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def other_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(autouse=True)
def configured(settings: Any, key: RSAPrivateKey, other_key: RSAPrivateKey) -> None:
    settings.MOLAM_ID_KEYS = {"2026-01": pem(key), "2026-02": pem(other_key)}


@operation
def _link(*, actor: Actor, person: Actor, sub: str) -> None:
    person.user.sub = sub
    person.user.save(update_fields=["sub"])


@pytest.fixture
def alice(person: Callable[..., Actor]) -> Actor:
    """Linked, with two roles."""
    alice = person("alice", "finance_ops", "ops")
    _link(person=alice, sub="molam|alice", actor=SYSTEM("test"))
    return alice


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"sub": "molam|alice", "aud": AUDIENCE, "iat": now, "exp": now + 600, **changed}
    return {name: value for name, value in said.items() if value is not None}


def ask(token: str, path: str = "/api/ops/plans") -> Any:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client.get(path)


def sign(key: RSAPrivateKey, kid: str | None = "2026-01", **changed: Any) -> str:
    return jwt.encode(claims(**changed), key, algorithm="RS256", headers={"kid": kid} if kid else None)


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_linked_user_gets_in(alice: Actor, key: RSAPrivateKey, other_key: RSAPrivateKey) -> None:
    assert ask(sign(key)).status_code == 200
    assert ask(sign(other_key, "2026-02")).status_code == 200, "the next key, while keys are rotated"


def test_one_human_is_one_user_by_whichever_door(
    alice: Actor, key: RSAPrivateKey, api: Callable[..., APIClient]
) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign(key)}")
    pen = base64.b64encode(os.urandom(32)).decode()
    asked = client.post("/api/signer-keys", {"name": "laptop", "public_key": pen})
    assert asked.status_code == 202
    assert api("alice").get("/api/changes?mine=1").json()["results"][0]["id"] == asked.json()["id"]
    entry = Entry.objects.get(verb="change.requested")
    assert (entry.actor_name, entry.actor_id) == ("alice", str(alice.user.pk))


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("expired", {"exp": int(time.time()) - 60}, "has expired"),
    ("not valid yet", {"nbf": int(time.time()) + 3600}, "not valid yet"),
    ("issued in the future", {"iat": int(time.time()) + 3600, "exp": int(time.time()) + 7200}, "not valid yet"),
    ("another audience", {"aud": "wallet"}, "another audience"),
    ("no audience", {"aud": None}, "lacks the claim aud"),
    ("no end", {"exp": None}, "lacks the claim exp"),
    ("no beginning", {"iat": None}, "lacks the claim iat"),
    ("nobody", {"sub": None}, "lacks the claim sub"),
    ("roles that are no list", {"roles": "admin"}, "no list of names"),
    ("roles that are no names", {"roles": [1]}, "no list of names"),
    ("unlinked", {"sub": "molam|mallory"}, "linked to no user"),
    ("empty sub", {"sub": ""}, "linked to no user"),
]


@pytest.mark.parametrize(("changed", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(alice: Actor, key: RSAPrivateKey, changed: dict[str, Any], message: str) -> None:
    before = Entry.objects.count()
    answer = ask(sign(key, **changed))
    assert answer.status_code == 401
    assert message in answer.json()["detail"]
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="opsconsole"'
    assert Entry.objects.count() == before


def test_a_little_skew_is_forgiven(alice: Actor, key: RSAPrivateKey) -> None:
    assert ask(sign(key, exp=int(time.time()) - 10)).status_code == 200
    assert ask(sign(key, iat=int(time.time()) + 10)).status_code == 200


def test_the_token_does_not_choose_its_algorithm(alice: Actor, key: RSAPrivateKey) -> None:
    head, body = {"alg": "none", "kid": "2026-01"}, encoded(claims())
    assert "other than RS256" in ask(f"{encoded(head)}.{body}.").json()["detail"]
    signed_part = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': '2026-01'})}.{body}"
    mac = hmac.new(pem(key).encode(), signed_part.encode(), hashlib.sha256).digest()
    forged = f"{signed_part}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    answer = ask(forged)
    assert (answer.status_code, "other than RS256" in answer.json()["detail"]) == (401, True)
    assert ask(jwt.encode(claims(), key, algorithm="RS512", headers={"kid": "2026-01"})).status_code == 401


def test_keys(alice: Actor, key: RSAPrivateKey, other_key: RSAPrivateKey, settings: Any) -> None:
    for kid in ("2025-12", None, "", "../2026-01"):
        assert "none of the keys" in ask(sign(key, kid)).json()["detail"]
    assert "does not verify" in ask(sign(other_key, "2026-01")).json()["detail"]
    settings.MOLAM_ID_KEYS = {"": pem(key)}
    assert ask(sign(key, None)).status_code == 200
    assert ask(sign(other_key, None)).status_code == 401
    settings.MOLAM_ID_KEYS = {}
    assert "accepts no Molam ID tokens" in ask(sign(key)).json()["detail"]


def test_the_issuer_where_one_is_named(alice: Actor, key: RSAPrivateKey, settings: Any) -> None:
    settings.MOLAM_ID_ISSUER = "https://id.molam.example"
    assert ask(sign(key, iss="https://id.molam.example")).status_code == 200
    assert "another issuer" in ask(sign(key, iss="https://elsewhere.example")).json()["detail"]
    assert "lacks the claim iss" in ask(sign(key)).json()["detail"]


@pytest.mark.parametrize("token", ["a.b.c", "..", ".", "é.é.é", "a.b.c.d", "x" * 5000 + ".y.z", "e30.e30.e30"])
def test_rubbish(alice: Actor, token: str) -> None:
    assert ask(token.encode().decode("latin-1")).status_code == 401


def test_who_has_left(alice: Actor, key: RSAPrivateKey) -> None:
    alice.user.is_active = False
    alice.user.save(update_fields=["is_active"])
    answer = ask(sign(key))
    assert (answer.status_code, answer.json()["code"]) == (401, "molam_id_inactive")


def test_an_unlinked_identity_approves_nothing(alice: Actor, key: RSAPrivateKey) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign(key, sub='molam|mallory', roles=['finance_ops'])}")
    answer = client.post(
        "/api/approvals/0199d3a5-5c1e-7c3f-9a51-0f6f1f1f2a10/approve", {"approved": True, "comments": ""}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "molam_id_unlinked")


class TestRoles:
    """Holding a payout takes finance_ops; ops may look at it; a dev sees nothing."""

    @pytest.fixture
    def hold(self) -> Callable[[str], int]:
        """Try to hold a payout with a token."""
        add_payouts(count=1, amount=Decimal(5), actor=TESTER)
        payout = Payout.objects.get().pk

        def knock(token: str) -> int:
            client = APIClient()
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
            return client.post(f"/api/ops/payouts/{payout}/hold", {"reason": "to be checked"}).status_code

        return knock

    def test_without_the_claim_all_of_them(self, alice: Actor, key: RSAPrivateKey, hold: Callable[[str], int]) -> None:
        assert hold(sign(key)) == 200

    def test_narrowed(self, alice: Actor, key: RSAPrivateKey, hold: Callable[[str], int]) -> None:
        assert hold(sign(key, roles=["ops"])) == 403
        assert ask(sign(key, roles=["ops"])).status_code == 200
        assert hold(sign(key, roles=["finance_ops"])) == 200
        assert ask(sign(key, roles=[])).status_code == 403

    def test_never_widened(self, person: Callable[..., Actor], key: RSAPrivateKey, hold: Callable[[str], int]) -> None:
        dev = person("dev")
        _link(person=dev, sub="molam|dev", actor=SYSTEM("test"))
        for roles in (["finance_ops"], ["admin", "pay_admin", "dev"]):
            assert ask(sign(key, sub="molam|dev", roles=roles)).status_code == 403
            assert hold(sign(key, sub="molam|dev", roles=roles)) == 404

    def test_their_names_for_our_roles(
        self, alice: Actor, key: RSAPrivateKey, settings: Any, hold: Callable[[str], int]
    ) -> None:
        settings.MOLAM_ID_ROLES = {"treasury-finance": "finance_ops"}
        assert hold(sign(key, roles=["treasury-ops"])) == 404
        assert hold(sign(key, roles=["treasury-finance"])) == 200

    def test_an_actor_who_is_narrowed(self, alice: Actor) -> None:
        alice.user.narrow_to(["ops", "admin"])
        assert alice.roles == frozenset({"ops"})
        assert alice.may("plans.execute_plan")
        assert not alice.may("treasury.import_payouts")
        alice.user.refresh_from_db()
        assert alice.roles == frozenset({"ops"}), "reading the row again gives nothing back"

    def test_a_grant_to_the_person_stays_and_one_to_a_role_needs_it(self, alice: Actor) -> None:
        bank, other = _two_banks(actor=SYSTEM("test"))
        ContentType.objects.clear_cache()
        finance = alice.user.groups.get(name="finance_ops")
        assign_perm("treasury.view_bank", alice.user, bank)
        assign_perm("treasury.view_bank", finance, other)
        assert alice.user.has_perm("treasury.view_bank", bank)
        assert alice.user.has_perm("treasury.view_bank", other)
        alice.user.narrow_to([])
        assert alice.may("treasury.view_bank", bank)
        assert not alice.user.has_perm("treasury.view_bank", other)
        assert not alice.may("treasury.view_bank")


@operation
def _two_banks(*, actor: Actor) -> tuple[Bank, Bank]:
    return (
        Bank.objects.create(code="one", name="One", bic="AAAADEFFXXX", gateway="iso20022"),
        Bank.objects.create(code="two", name="Two", bic="BBBBDEFFXXX", gateway="iso20022"),
    )


class TestSettings:
    @staticmethod
    def start(value: str) -> subprocess.CompletedProcess[str]:
        code = "from opsconsole import settings; print(sorted(settings.MOLAM_ID_KEYS))"
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "MOLAM_ID_JWT_PUBLIC": value},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_one_key_or_several(self, key: RSAPrivateKey, other_key: RSAPrivateKey) -> None:
        assert self.start(pem(key).replace("\n", "\\n")).stdout.strip() == "['']"
        several = self.start(json.dumps({"a": pem(key), "b": pem(other_key)}))
        assert several.stdout.strip() == "['a', 'b']"

    def test_what_is_no_key_is_named_at_start_up(self) -> None:
        ended = self.start("not a key")
        assert ended.returncode == 1
        assert "MOLAM_ID_JWT_PUBLIC must be a PEM public key" in ended.stderr
