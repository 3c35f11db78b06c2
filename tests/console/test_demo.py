"""The demonstration on a running console: what a newcomer sees first, with everything real."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.embedded.test_up import console


@pytest.mark.timeout(480)
def test_the_whole_story_plays_in_the_terminal(tmp_path: Path) -> None:
    with console(tmp_path / "var", demo=True) as it:
        played = it.manage("demo", "--total", "100000")
        assert played.returncode == 0, played.stdout + played.stderr
        said = played.stderr
        for expected in (
            "ops is refused (403",
            "auditor is refused (403",
            "the same both times",
            "succeeded",
            "recalled",
        ):
            assert expected in said
        with closing(sqlite3.connect(f"file:{it.var}/sandbox-bank/bank.sqlite3?mode=ro", uri=True)) as bank:
            payments = bank.execute("select status, count(*), count(distinct end_to_end_id) from payments group by 1")
            (status, count, different), *others = payments.fetchall()
        assert (status, others) == ("recalled", [])
        assert count == different > 1

        verified = it.manage("journal", "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr

        kept = it.manage("demo", "--no-rollback", "--total", "50000")
        assert kept.returncode == 0, kept.stderr
        assert "rolls it back" not in kept.stderr


def test_says_so_when_nothing_runs(tmp_path: Path) -> None:
    import os
    import sys

    from tests.embedded.test_up import ROOT, run

    answer = run(
        sys.executable,
        ROOT / "manage.py",
        "demo",
        env={**os.environ, "OPS_VAR": str(tmp_path / "var"), "OPS_ENV": "local", "LOG_LEVEL": "ERROR"},
    )
    assert answer.returncode == 1
    assert "make up" in answer.stderr
    assert "Traceback" not in answer.stderr
