"""`manage.py import_bank_file`, the API and the admin's button: three doors to one import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from opsconsole.core.actors import Actor
from opsconsole.core.tokens import create_token
from opsconsole.plans.models import Plan
from opsconsole.treasury.models import BankFile, Break, Instruction, StatedBalance
from tests.admin.conftest import browse, contents, messages_of, press
from tests.treasury.bank_files.conftest import entry, statement
from tests.treasury.test_metrics import scraped
from tests.world import World, counts

__all__ = ["browse"]

CLOSING = (
    '<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">999999.50</Amt>'
    "<CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-19</Dt></Dt></Bal>"
)


@pytest.fixture
def content(sent: Plan) -> bytes:
    one = Instruction.objects.order_by("ordinal").first()
    assert one is not None
    return statement(entry(one.end_to_end_id, f"{one.amount}"), entry("NOTPROVIDED", "7.00"), closing=CLOSING)


@pytest.fixture
def run(person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Run the command as `finance_ops`, whose token is in the environment."""
    act_as("finance_ops", person, monkeypatch)
    return lambda path: call_command("import_bank_file", str(path), as_user="finance_ops")


def act_as(name: str, person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch) -> None:
    user = person(name).user
    assert user is not None
    monkeypatch.setenv("OPSCONSOLE_TOKEN", create_token(user))


def test_the_command_says_what_came_of_a_file(
    content: bytes, tmp_path: Path, run: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "statement.xml"
    path.write_bytes(content)
    run(path)
    said = capsys.readouterr()
    assert "camt.053.001.08, 2 lines: 1 settled, 0 failed, 0 returned, 0 known already, 0 on their way, 1 breaks." in (
        said.out
    )
    assert "the bank states 999,999.50, the ledger expects" in said.out
    assert "line 2" in said.err
    assert "names none of our references" in said.err
    assert counts("treasury_payouts") == {"sent": 39, "settled": 1}
    run(path)
    assert "It was imported before; nothing was added." in capsys.readouterr().out


@pytest.mark.parametrize("who", ["ops", None])
def test_the_command_refuses(
    content: bytes, tmp_path: Path, person: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch, who: str | None
) -> None:
    path = tmp_path / "statement.xml"
    path.write_bytes(content)
    act_as("ops", person, monkeypatch)
    before = contents()
    with pytest.raises(SystemExit) as ended:
        call_command("import_bank_file", str(path), as_user=who)
    assert ended.value.code == 1
    assert contents() == before


def test_the_command_names_a_file_that_is_not_there(
    world: World, tmp_path: Path, run: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path / "nowhere.xml")
    assert "No such file" in capsys.readouterr().err


def test_the_api_takes_a_file_once(content: bytes, api: Callable[..., APIClient]) -> None:
    client = api("pay_admin")
    answer = client.generic("POST", "/api/ops/bank-files?name=s.xml", content.decode(), "application/xml")
    assert (answer.status_code, answer.json()["name"], answer.json()["settled"]) == (201, "s.xml", 1)
    again = client.generic("POST", "/api/ops/bank-files", content.decode(), "text/xml")
    assert (again.status_code, again.json()["id"]) == (200, answer.json()["id"])
    bad = client.generic("POST", "/api/ops/bank-files", "<Document/>", "application/xml")
    assert (bad.status_code, bad.json()["code"]) == (400, "bank_file_invalid")
    assert client.post("/api/ops/bank-files", {"a": 1}, format="json").status_code == 415
    assert client.generic("POST", "/api/ops/bank-files", "", "application/xml").status_code == 400
    (found,) = client.get("/api/ops/breaks?status=open").json()["results"]
    assert (found["reason"], found["amount"], found["line"]) == ("no_reference", "7.00000", 2)
    done = client.post(f"/api/ops/breaks/{found['id']}/resolve", {"reason": "a fee"}, format="json")
    assert (done.status_code, done.json()["status"]) == (200, "resolved")
    assert client.get("/api/ops/breaks?status=open").json()["results"] == []


def test_the_button_takes_a_file_and_its_pages_show_what_came_of_it(
    world: World, content: bytes, browse: Callable[..., Client]
) -> None:
    client = browse("finance_ops")
    url = "/admin/treasury/bankfile/import/"
    answer = press(client, url, file=SimpleUploadedFile("s.xml", content, "text/xml"))
    file = BankFile.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/admin/treasury/bankfile/{file.pk}/change/")
    assert messages_of(answer) == ["2 lines: 1 settled, 0 failed, 0 returned, 1 breaks."]
    page = client.get(answer["Location"]).content.decode()
    assert "names none of our references" in page
    assert "999,999.50" in page
    found = Break.objects.get()
    resolved = press(client, f"/admin/treasury/break/{found.pk}/resolve/", reason="a fee")
    assert messages_of(resolved) == ["The break is resolved."]
    account = client.get(f"/admin/treasury/account/{world.iso_account.pk}/change/").content.decode()
    assert "Stated balances" in account
    for name in ("ops", "auditor"):
        assert browse(name).get(url).status_code == 403
        assert browse(name).get(answer["Location"]).status_code == 200


def test_the_metrics_count_breaks_and_differences(
    world: World, content: bytes, take_in: Callable[..., BankFile]
) -> None:
    assert (scraped()["ops_bank_breaks"], scraped()["ops_bank_balance_difference"]) == ({(): 0}, {})
    take_in(content)
    said = scraped()
    assert (said["ops_bank_breaks"], said["ops_metric_errors"]) == ({(): 1}, {(): 0})
    (difference,) = said["ops_bank_balance_difference"].values()
    assert difference == float(StatedBalance.objects.get().difference) != 0
    assert said["ops_sweeps"] == {(state,): 0 for state in ("planned", "sending", "sent")}
