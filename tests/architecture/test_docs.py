"""The documents speak of what exists: commands, addresses, files, settings; generated pages are up to date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command, get_commands

from tests.access.test_matrix import TABLE
from tests.architecture.source import PACKAGES, ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
SETTINGS = (ROOT / "opsconsole" / "settings.py").read_text()


def texts() -> Iterator[tuple[Path, str]]:
    """Every document with its text."""
    for path in DOCUMENTS:
        yield path.relative_to(ROOT), path.read_text()


def test_there_are_documents() -> None:
    assert {"README.md", "CHANGELOG.md", "docs/api.md", "docs/plans.md"} <= {str(path) for path, _ in texts()}


def test_every_command_that_is_named_exists() -> None:
    known = set(get_commands())
    for path, text in texts():
        for command in re.findall(r"manage\.py ([a-z_]+)\b", text):
            assert command in known, f"{path}: manage.py {command}"


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for path, text in texts():
        for target in re.findall(r"`make ([a-z-]+)", text):
            assert target in targets, f"{path}: make {target}"


def test_every_link_leads_somewhere() -> None:
    for path, text in texts():
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if not re.match(r"[a-z]+:", link):
                assert (ROOT / path.parent / link).exists(), f"{path}: {link}"


def test_every_address_of_the_api_page_exists_and_every_address_is_on_it() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    told = {
        (method, re.sub(r"\{(\w+)\}", r"<\1>", address))
        for methods, address in re.findall(r"^\| `([A-Z, ]+)` \| `/(\S+)` \|", text, re.M)
        for method in methods.split(", ")
    }
    assert sorted(told - TABLE.keys()) == [], "on the page only"
    assert sorted(TABLE.keys() - told) == [], "not on the page"


def test_every_code_of_the_api_page_exists() -> None:
    from tests.core.test_errors import every_error

    text = (ROOT / "docs" / "api.md").read_text()
    known = {error.code for error in every_error()} | {
        "not_authenticated", "authentication_failed", "parse_error", "unsupported_media_type", "method_not_allowed",
        "body_too_large", "length_required", "not_acceptable", "out_of_range", "fault", "bad_request",
    }  # fmt: skip
    for code in re.findall(r"^\| \d{3} \| `(\w+)` \|", text, re.M):
        assert code in known, code


def test_every_setting_that_is_named_is_read() -> None:
    for path, text in texts():
        for name in re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`", text):
            if name.startswith(("OPS_", "DATABASE_", "API_", "METRICS_", "JOURNAL_", "FIELD_", "REDIS_")):
                used = any(name in source.read_text() for package in PACKAGES for source in package.rglob("*.py"))
                assert used or name in SETTINGS, f"{path}: {name}"


@pytest.mark.django_db
def test_the_generated_pages_are_what_the_code_says() -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("write_docs", "--check")
    assert ended.value.code == 0
