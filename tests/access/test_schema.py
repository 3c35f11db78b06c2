"""schemathesis over the whole OpenAPI document, against the running console: no fault of ours, nothing undocumented.

Every operation is called with the document's own examples, with values at and past every boundary that it states, and
with random ones; each answer must be one that the document foresees, in status, content type and form. The addresses
lead to what the access matrix has put behind each door, so that most calls find something there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.access.conftest import Doors, _furnish
from tests.access.test_matrix import TABLE
from tests.api.conftest import console_environment, own_redis, shared_web, web
from tests.api.servers import ROOT, Web
from tests.sandbox_bank.process import BankProcess, bank, shared_bank

__all__ = ["bank", "console_environment", "own_redis", "shared_bank", "shared_web", "web"]

pytestmark = pytest.mark.timeout(900)

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
# What any door may answer before it looks at what it was asked for; the document tells them once, as `default`. All
# else that is answered must stand at the operation itself.
ANYWHERE = ("400", "401", "403", "404", "405", "406", "411", "413", "415", "429", "503")
EXAMPLES = 4  # random ones for each operation; the boundaries make some thirty more
# For each of some nine thousand calls requests looks for a proxy through all the variables there are: the fewer the
# better. What hypothesis works out about Unicode, for ten seconds, it keeps in a folder, if that stays.
ENVIRONMENT = {
    **{name: os.environ[name] for name in ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR") if name in os.environ},
    "HYPOTHESIS_STORAGE_DIRECTORY": str(settings.VAR / "hypothesis"),
    "PYTHONPATH": str(ROOT),
}
PLACES = re.compile(r"<(\w+)>")


@pytest.fixture
def behind_the_doors(web: Web, bank: BankProcess) -> Doors:
    """One of everything, committed."""
    bank.open_account()
    return _furnish(bank)


@pytest.fixture
def torture(web: Web, behind_the_doors: Doors, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Run schemathesis as somebody; what it says of itself."""

    def run(name: str, *, phases: str = "examples,coverage,fuzzing") -> dict[str, Any]:
        config, report = tmp_path / f"{name}.toml", tmp_path / f"{name}.json"
        config.write_text(configuration(behind_the_doors))
        document = tmp_path / "openapi.json"
        document.write_text(json.dumps(strict(web)))
        token = behind_the_doors.tokens[name] or "0" * 64
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run", document, "--url", web.url),
                *("--phases", phases, "--checks", ",".join(CHECKS), "--continue-on-failure"),
                *("--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-shrink"),
                *("--suppress-health-check", "all", "--workers", "1", "--no-color"),  # ast.parse of 3.11 minds threads
                *("--warnings", "off", "--report-json-path", report, "--header", f"Authorization: Bearer {token}"),
            ],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            timeout=840,
        )
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
        return dict(json.loads(report.read_text()))

    return run


def strict(web: Web) -> dict[str, Any]:
    """The document without `default`, which would foresee whatever is answered."""
    document = dict(web.ask("GET", "/api/schema", headers={"Accept": "application/json"}).json())
    for operations in document["paths"].values():
        for operation in operations.values():
            other = operation["responses"].pop("default", None)
            if other is not None:
                operation["responses"] = dict.fromkeys(ANYWHERE, other) | operation["responses"]
    return document


def configuration(doors: Doors) -> str:
    """What stands in the addresses, for schemathesis to put there."""

    def table(ids: dict[str, Any]) -> str:
        return "".join(f'"path.{name}" = {json.dumps(str(value))}\n' for name, value in ids.items())

    lines = ["[parameters]", table(doors.defaults)]
    for address, ids in doors.ids.items():
        path = "/" + PLACES.sub(r"{\1}", address)
        lines += ["[[operations]]", f"include-path = {json.dumps(path)}", "[operations.parameters]", table(ids)]
    return "\n".join(lines)


def reached(said: dict[str, Any]) -> set[str]:
    """The operations of which some call got past its parser: it was accepted, or a rule of ours spoke against it."""
    return {
        name
        for name, phases in said["valid_rates"].items()
        if any(rate["accepted"] + rate["conflicts"] for rate in phases.values())
    }


def row_of(operation: str) -> tuple[str, str]:
    """The operation as the access table names it."""
    method, _, path = operation.partition(" ")
    return method, re.sub(r"\{(\w+)\}", r"<\1>", path.removeprefix("/"))


def test_every_answer_is_documented(torture: Callable[[str], dict[str, Any]]) -> None:
    """As somebody to whom nearly every door stands open, and who gets somewhere behind most of them."""
    said = torture("pay_admin")
    assert said["operations"]["tested"] == said["operations"]["total"] >= 44
    assert said["test_cases"]["generated"] > 30 * said["operations"]["total"]
    open_to_it = {name for name in said["valid_rates"] if TABLE[row_of(name)]["pay_admin"] == "+"}
    missed = open_to_it - reached(said)
    assert len(missed) < 0.1 * len(open_to_it), sorted(missed)


def test_every_answer_to_a_stranger_is_documented(torture: Callable[[str], dict[str, Any]]) -> None:
    said = torture("anonymous", phases="examples,fuzzing")  # the boundaries lie behind the door
    assert said["operations"]["tested"] == said["operations"]["total"] >= 44
    assert {name for name in reached(said) if not name.endswith("/api/schema")} == set()
