"""The reference pages say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from opsconsole.console.reference import pages
from opsconsole.core.roles import ROLES
from opsconsole.plans.types import registered


def test_pages_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("write_docs", "--check")
    assert ended.value.code == 0, capsys.readouterr().err


def test_a_stale_page_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings, "BASE_DIR", tmp_path)
    with pytest.raises(SystemExit) as ended:
        call_command("write_docs", "--check")
    assert ended.value.code == 1
    assert "docs/generated/roles.md is out of date" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

    call_command("write_docs")
    written = {path.name: path.read_text() for path in (tmp_path / "docs" / "generated").iterdir()}
    assert written == pages()


def test_pages_name_every_role_and_plan_type() -> None:
    made = pages()
    assert all(f"| {role} " in made["roles.md"] for role in ROLES)
    assert all(f"`{plan_type.name}`" in made["plan-types.md"] for plan_type in registered())
