"""The generic door: who sees what, verdicts by HTTP, refusals as problems, and the signer keys."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from opsconsole.approvals import kernel
from opsconsole.approvals.models import Request
from opsconsole.core.actors import Actor
from opsconsole.journal.models import Entry
from tests.approvals.conftest import (
    PAYOUT,
    SYSTEM_TEST,
    People,
    approve,
    ask,
    let_time_pass,
    make_subject,
    pen_of,
    revoke,
    use,
)

pytestmark = pytest.mark.django_db
Client = Callable[..., APIClient]
Same = Callable[[], Any]


def url(request: Request, verb: str = "") -> str:
    return f"/api/approvals/{request.pk}{'/' + verb if verb else ''}"


def refused(response: Any, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code), response.json()
    assert response["Content-Type"] == "application/problem+json"


class TestReading:
    def test_the_list(self, api: Client, request_: Request) -> None:
        page = api("auditor").get("/api/approvals").json()
        assert set(page) == {"results", "next", "previous"}
        (row,) = page["results"]
        assert row["id"] == str(request_.pk)
        assert row["requested_by"] == "asker"
        assert row["required_approvals"] == 2
        assert "content" not in row

    def test_one(self, api: Client, request_: Request, person: People) -> None:
        approve(request_, person("finance_ops"), reason="fine by me")
        body = api("pay_admin").get(url(request_)).json()
        assert body["content"]["amount"] == "1000"
        assert body["digest"] == request_.digest
        assert body["complete"] is False
        assert body["slots"] == {
            "filled": [{"roles": ["finance_ops"], "role": "finance_ops", "user": "finance_ops"}],
            "open": [{"roles": ["pay_admin"], "count": 1}],
        }
        (decision,) = body["decisions"]
        assert (decision["user"], decision["kind"], decision["comments"]) == ("finance_ops", "approve", "fine by me")
        assert (decision["signed"], decision["signer_key"], decision["objection"]) == (False, None, "")
        assert body["signing_text"] == (
            f"opsconsole approval v1\nrequest: {request_.pk}\ndigest: {request_.digest}\ndecision: approve\n"
        )

    def test_editors_are_named(self, api: Client, requester: Actor, subject: str, person: People) -> None:
        request = ask(actor=requester, subject_id=subject, editors=[person("ops").user.pk])
        assert api("auditor").get(url(request)).json()["editors"] == ["ops"]

    def test_filters(self, api: Client, requester: Actor, request_: Request) -> None:
        other = ask(actor=requester, subject_id=make_subject(actor=SYSTEM_TEST), action="plan.freeze")
        client = api("auditor")

        def listed(query: str) -> list[str]:
            return [row["id"] for row in client.get(f"/api/approvals?{query}").json()["results"]]

        assert listed("") == [str(other.pk), str(request_.pk)]
        assert listed(f"action={PAYOUT}") == [str(request_.pk)]
        assert listed("status=pending&action=plan.freeze") == [str(other.pk)]
        assert listed("status=consumed") == []
        assert client.get("/api/approvals?status=nonsense").status_code == 400
        assert listed("page_size=1") == [str(other.pk)]

    def test_mine_are_those_i_may_still_approve(
        self, api: Client, requester: Actor, person: People, subject: str
    ) -> None:
        finance = person("finance_ops")
        fresh = ask(actor=requester, subject_id=subject)
        said = ask(actor=requester, subject_id=make_subject(actor=SYSTEM_TEST))
        approve(said, finance)
        taken_back = ask(actor=requester, subject_id=make_subject(actor=SYSTEM_TEST))
        approve(taken_back, finance)
        revoke(taken_back, finance)
        edited = ask(actor=requester, subject_id=make_subject(actor=SYSTEM_TEST), editors=[finance.user.pk])
        my_own = ask(actor=finance, subject_id=make_subject(actor=SYSTEM_TEST))
        late = ask(actor=requester, subject_id=make_subject(actor=SYSTEM_TEST))
        let_time_pass(late)

        def mine(name: str) -> set[str]:
            response = api(name).get("/api/approvals?mine=1")
            return {row["id"] for row in response.json()["results"]}

        assert mine("finance_ops") == {str(fresh.pk), str(taken_back.pk)}
        everything = {str(row.pk) for row in (fresh, said, taken_back, edited, my_own)}
        assert mine("pay_admin") == everything
        assert mine("asker") == {str(my_own.pk)}
        assert mine("ops") == mine("auditor") == set()

    def test_who_may_not_see(self, api: Client, request_: Request) -> None:
        refused(api("dev").get("/api/approvals"), 403, "denied")
        refused(api("dev").get(url(request_)), 404, "not_found")
        assert api(None).get(url(request_)).status_code == 401
        refused(api("auditor").get(f"/api/approvals/{uuid4()}"), 404, "not_found")


class TestDeciding:
    def test_two_approvals_over_http(self, api: Client, request_: Request) -> None:
        first = api("finance_ops").post(url(request_, "approve"), {"approved": True, "comments": "ok"})
        assert (first.status_code, first.json()["status"]) == (200, "pending")
        second = api("pay_admin").post(url(request_, "approve"), {"approved": True})
        assert (second.status_code, second.json()["status"], second.json()["complete"]) == (200, "approved", True)

    def test_a_rejection(self, api: Client, request_: Request, unchanged: Same) -> None:
        client = api("pay_admin")
        with unchanged():
            refused(client.post(url(request_, "approve"), {"approved": False}), 400, "reason_missing")
        body = client.post(url(request_, "approve"), {"approved": False, "comments": "wrong date"}).json()
        assert (body["status"], body["decisions"][0]["comments"]) == ("rejected", "wrong date")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"approved": "true"},
            {"approved": 1},
            {"approved": None},
            {"approved": True, "comments": "x" * 5000},
            {"approved": True, "signature": ["x"]},
            [],
            "yes",
        ],
    )
    def test_a_verdict_is_true_or_false(self, api: Client, request_: Request, unchanged: Same, body: Any) -> None:
        client = api("finance_ops")
        with unchanged():
            refused(client.post(url(request_, "approve"), body), 400, "invalid")

    @pytest.mark.parametrize(
        ("verb", "name", "roles", "status", "code"),
        [
            *[(verb, "auditor", (), 403, "denied") for verb in ("approve", "revoke", "comment")],
            *[(verb, "dev", (), 404, "not_found") for verb in ("approve", "revoke", "comment")],
            ("approve", "admin", (), 403, "not_an_approver"),
            ("approve", "asker", ("finance_ops",), 403, "separation_of_duties"),
            ("approve", "ops", (), 403, "not_an_approver"),
            ("revoke", "asker", ("finance_ops",), 409, "nothing_to_revoke"),
        ],
    )
    def test_who_may_not(
        self,
        api: Client,
        request_: Request,
        unchanged: Same,
        verb: str,
        name: str,
        roles: tuple[str, ...],
        status: int,
        code: str,
    ) -> None:
        client = api(name, *roles)
        with unchanged():
            said = {"comments": "x"} | ({"approved": True} if verb == "approve" else {})
            refused(client.post(url(request_, verb), said), status, code)

    def test_what_it_does_not_know_is_refused(self, api: Client, request_: Request, unchanged: Same) -> None:
        client = api("finance_ops")
        with unchanged():
            for verb, body in (("approve", {"approved": True, "sure": True}), ("comment", {"coments": "x"})):
                refused(client.post(url(request_, verb), body), 400, "invalid")
            for path in ("/api/approvals?stauts=pending", "/api/signer-keys?mine=1", "/api/journal?verbs=x"):
                refused(client.get(path), 400, "invalid")

    def test_without_a_token(self, api: Client, request_: Request, unchanged: Same) -> None:
        client = api(None)
        with unchanged():
            response = client.post(url(request_, "approve"), {"approved": True})
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")

    def test_refusals(self, api: Client, request_: Request, person: People, unchanged: Same) -> None:
        finance, admin = api("finance_ops"), api("pay_admin")
        yes = {"approved": True}
        finance.post(url(request_, "approve"), yes)
        colleague = api("finance_ops2", "finance_ops")
        with unchanged():
            refused(finance.post(url(request_, "approve"), yes), 409, "already_approved")
            refused(colleague.post(url(request_, "approve"), yes), 409, "no_open_slot")
            refused(admin.post(url(request_, "revoke"), {}), 409, "nothing_to_revoke")
            refused(admin.post(url(request_, "comment"), {}), 400, "reason_missing")
            forged = {"approved": True, "signature": base64.b64encode(bytes(64)).decode()}
            refused(admin.post(url(request_, "approve"), forged), 422, "signature_invalid")
        admin.post(url(request_, "approve"), yes)
        with unchanged():
            refused(colleague.post(url(request_, "approve"), yes), 409, "already_complete")
        use(request=request_, actor=person("pay_admin"))
        with unchanged():
            refused(colleague.post(url(request_, "approve"), yes), 409, "already_consumed")
            refused(finance.post(url(request_, "revoke"), {}), 409, "already_consumed")

    def test_an_expired_one(self, api: Client, request_: Request, unchanged: Same) -> None:
        let_time_pass(request_)
        client = api("finance_ops")
        with unchanged():
            refused(client.post(url(request_, "approve"), {"approved": True}), 409, "request_expired")

    def test_revoking_and_commenting(self, api: Client, request_: Request) -> None:
        client = api("finance_ops")
        client.post(url(request_, "approve"), {"approved": True})
        body = client.post(url(request_, "revoke"), {"comments": "once more"}).json()
        assert [decision["kind"] for decision in body["decisions"]] == ["approve", "revoke"]
        assert body["decisions"][1]["revokes"] == body["decisions"][0]["id"]
        assert body["signing_text"].endswith("round: 2\n")
        body = client.post(url(request_, "comment"), {"comments": "payee 17?"}).json()
        assert body["decisions"][2]["comments"] == "payee 17?"

    def test_a_key_has_its_effect_once(self, api: Client, request_: Request) -> None:
        client = api("finance_ops")
        call = {"path": url(request_, "approve"), "data": {"approved": True}, "HTTP_IDEMPOTENCY_KEY": "k-1"}
        first, second = client.post(**call), client.post(**call)
        assert second.json() == first.json()
        assert second["Idempotency-Replayed"] == "true"
        assert Entry.objects.filter(verb="approval.approved").count() == 1

    def test_camel_case_and_null_are_understood(self, api: Client, request_: Request) -> None:
        client = api("finance_ops")
        body = {"approved": True, "signature": None}
        assert client.post(url(request_, "approve"), body).status_code == 200


class TestSigning:
    @pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
    def test_the_whole_way_with_openssl(self, api: Client, requester: Actor, subject: str, tmp_path: Path) -> None:
        """As docs/approvals.md shows it: make a key, register it, sign the text, approve."""
        request = ask(actor=requester, subject_id=subject, amount="2000000")
        client = api("finance_ops")
        refused(client.post(url(request, "approve"), {"approved": True}), 422, "signature_required")

        def shell(command: str) -> str:
            done = subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, capture_output=True)
            return done.stdout.decode()

        shell("openssl genpkey -algorithm ed25519 -out key.pem")
        public = shell("openssl pkey -in key.pem -pubout")
        asked = client.post("/api/signer-keys", {"name": "laptop", "public_key": public})
        assert asked.status_code == 202
        for name in ("admin", "pay_admin"):
            done = api(name).post(f"{asked['Location']}/approve", {})
        assert done.json()["status"] == "applied"
        (key,) = client.get("/api/signer-keys").json()["results"]
        assert (
            key["fingerprint"]
            == asked.json()["after"]["fingerprint"]
            == shell("openssl pkey -in key.pem -pubout -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1").strip()
        )

        (tmp_path / "text").write_text(client.get(url(request)).json()["signing_text"])
        signature = shell("openssl pkeyutl -sign -rawin -inkey key.pem -in text | base64 -w0")
        response = client.post(url(request, "approve"), {"approved": True, "signature": signature})
        assert response.status_code == 200
        (decision,) = response.json()["decisions"]
        assert (decision["signed"], decision["signature"]) == (True, signature)
        assert decision["signer_key"] == key["fingerprint"]
        assert kernel.summary(request)[0]["signed"] is True


class TestSignerKeys:
    def test_ones_own(self, api: Client, person: People) -> None:
        pen_of(person("pay_admin"))
        (key,) = api("pay_admin").get("/api/signer-keys").json()["results"]
        assert (key["name"], key["revoked_at"]) == ("pen", None)
        assert api("finance_ops").get("/api/signer-keys").json()["results"] == []
        revoked = api("pay_admin").post(f"/api/signer-keys/{key['id']}/revoke")
        assert revoked.json()["revoked_at"] is not None

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"name": "x", "public_key": "AAAA"}, "signer_key_malformed"),
            ({"name": "x", "public_key": "-----BEGIN PRIVATE KEY-----\nxx\n"}, "signer_key_malformed"),
            ({"name": "", "public_key": "AAAA"}, "invalid"),
            ({"public_key": "AAAA"}, "invalid"),
        ],
    )
    def test_what_is_no_key(self, api: Client, unchanged: Same, body: dict[str, str], code: str) -> None:
        client = api("pay_admin")
        with unchanged():
            refused(client.post("/api/signer-keys", body), 400, code)

    def test_who_may_not(self, api: Client, person: People, unchanged: Same) -> None:
        pen = pen_of(person("pay_admin"))
        auditor, other = api("auditor"), api("finance_ops")
        with unchanged():
            body = {"name": "x", "public_key": pen.public}
            refused(auditor.post("/api/signer-keys", body), 403, "denied")
            refused(other.post("/api/signer-keys", body), 409, "signer_key_taken")
            refused(other.post(f"/api/signer-keys/{pen.registered.pk}/revoke"), 404, "not_found")
            assert api(None).get("/api/signer-keys").status_code == 401


def test_the_list_costs_the_same_for_many(
    api: Client, requester: Actor, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    client = api("auditor")
    for _ in range(12):
        ask(actor=requester, subject_id=make_subject(actor=SYSTEM_TEST))
    with django_assert_max_num_queries(8):
        assert len(client.get("/api/approvals").json()["results"]) == 12


def test_the_detail_costs_the_same_for_many(
    api: Client, requester: Actor, subject: str, person: People, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    client = api("auditor")
    request = ask(actor=requester, subject_id=subject, required_approvals=12)
    for number in range(8):
        approve(request, person(f"f{number}", "finance_ops"))
    with django_assert_max_num_queries(12):
        assert len(client.get(url(request)).json()["decisions"]) == 8
