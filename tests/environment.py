"""What must stand before Django reads its settings: the test environment, and servers to run on.

Loaded by `-p tests.environment`, ahead of everything. Without DATABASE_URL the embedded servers under var/test are
started or joined; they are left as they were found.

Each worker of a parallel run (`-n 2`) has all of it for itself: a state folder, servers where none are named, and a
database and a Redis database of its own on those that are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest

from opsconsole import embedded

ROOT = Path(__file__).resolve().parent.parent
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")

_share: list[embedded.Servers] = []


def _redis_database(url: str, offset: int) -> str:
    """The same Redis, so many databases further on."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    number = int(query.pop("db", [parts.path.strip("/") if parts.scheme != "unix" else ""])[0] or 0) + offset
    if parts.scheme == "unix":
        return urlunsplit(parts._replace(query=urlencode(query | {"db": [str(number)]}, doseq=True)))
    return urlunsplit(parts._replace(path=f"/{number}", query=urlencode(query, doseq=True)))


def _set_up() -> None:
    os.environ["OPS_ENV"] = "test"
    os.environ.setdefault("OPS_VAR", str(ROOT / "var" / "test"))
    os.environ.setdefault("OPS_DB_KEEP", "1")
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    # Hundreds of processes start, and each of them would compile the product anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Workers inherit all this, but not the `-p` of pyproject.toml until it is too late.
    os.environ["PYTEST_PLUGINS"] = "tests.environment"
    if not WORKER:
        return
    os.environ["OPS_VAR"] = str(Path(os.environ["OPS_VAR"]) / WORKER)
    os.environ["TEST_DB"] = f"{os.environ.get('TEST_DB', 'test_molam_connect')}_{WORKER}"
    if "REDIS_URL" in os.environ:
        number = int(re.sub(r"\D", "", WORKER))
        os.environ["REDIS_URL"] = _redis_database(os.environ["REDIS_URL"], number)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Start or join the servers; who only hands out tests to workers needs none."""
    hands_out = not WORKER and session.config.getoption("dist", "no") != "no"
    if not hands_out and ("DATABASE_URL" not in os.environ or "REDIS_URL" not in os.environ):
        _share.append(embedded.start(Path(os.environ["OPS_VAR"])))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: Any) -> None:
    """Give the servers back, once every fixture is done with them."""
    while _share:
        _share.pop().release()


_set_up()
