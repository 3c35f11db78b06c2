"""A shell in which the runbooks' commands run as they stand: real bash, psql and curl, led to the servers of the test.

Only what the runbooks leave open is filled in: `<placeholders>`, the name of the database, and who listens where. curl
may be missing on a machine; a stand-in then takes its arguments.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from opsconsole.embedded.places import Binaries

PSQL = """#!/usr/bin/env bash
case " $* " in *" -U postgres "*) export PGHOST=$SUPER_HOST PGPORT=$SUPER_PORT PGPASSWORD=$SUPER_PASSWORD ;; esac
exec "$REAL_PSQL" "${@//molam_connect/$TEST_DATABASE}"
"""
CURL = """#!/usr/bin/env bash
args=()
for one in "$@"; do
  one=${one/http:\\/\\/localhost:3077/$CONSOLE}
  one=${one/http:\\/\\/localhost:9090\\/metrics/$CONSOLE\\/metrics}
  args+=("${one/http:\\/\\/localhost:9090/$PROMETHEUS}")
done
if [ -n "$REAL_CURL" ]; then exec "$REAL_CURL" --silent --show-error --noproxy '*' "${args[@]}"; fi
exec "$STAND_IN" "$STAND_IN_SCRIPT" "${args[@]}"
"""
STAND_IN = """
import sys, urllib.error, urllib.request
method, headers, data, url = "", {}, None, ""
given = iter(sys.argv[1:])
for one in given:
    if one == "-X":
        method = next(given)
    elif one == "-H":
        name, _, value = next(given).partition(":")
        headers[name] = value.strip()
    elif one == "-d":
        data = next(given).encode()
    else:
        url = one
request = urllib.request.Request(url, data, headers, method=method or None)
try:
    answer = urllib.request.urlopen(request, timeout=30)
except urllib.error.HTTPError as refusal:
    answer = refusal
sys.stdout.buffer.write(answer.read())
"""
# Tables as CSV, and still what a statement says that has none: UPDATE 1.
PSQLRC = "\\set QUIET 1\n\\pset format csv\n\\set QUIET 0\n"


class Shell:
    """bash with the runbooks' psql and curl in its PATH."""

    def __init__(
        self, folder: Path, *, operator: str, superuser: str, database: str, console: str = "", prometheus: str = ""
    ) -> None:
        binaries = folder / "bin"
        binaries.mkdir()
        for name, script in (("psql", PSQL), ("curl", CURL)):
            (binaries / name).write_text(script)
            (binaries / name).chmod(0o755)
        (folder / "psqlrc").write_text(PSQLRC)
        (folder / "stand_in.py").write_text(STAND_IN)
        mine, super_ = conninfo_to_dict(operator), conninfo_to_dict(superuser)
        self.folder = folder
        self.environment = {
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "HOME": str(folder),
            "REAL_PSQL": str(Binaries.installed().postgres("psql")),
            "REAL_CURL": shutil.which("curl") or "",
            "STAND_IN": sys.executable,
            "STAND_IN_SCRIPT": str(folder / "stand_in.py"),
            "PSQLRC": str(folder / "psqlrc"),
            "TEST_DATABASE": database,
            "CONSOLE": console,
            "PROMETHEUS": prometheus,
            **{f"PG{name.upper()}": str(mine.get(name) or "") for name in ("host", "port", "user", "password")},
            **{f"SUPER_{name.upper()}": str(super_.get(name) or "") for name in ("host", "port", "password")},
        }

    def run(self, command: str, **filled: object) -> subprocess.CompletedProcess[str]:
        """What came of the command."""
        for name, value in filled.items():
            assert f"<{name}>" in command, name
            command = command.replace(f"<{name}>", str(value))
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def rows(self, command: str, **filled: object) -> list[dict[str, str]]:
        """The rows that a SELECT answers."""
        done = self.run(command, **filled)
        assert done.returncode == 0, done.stderr
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def changed(self, command: str, **filled: object) -> str:
        """What an UPDATE says it did."""
        done = self.run(command, **filled)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def answer(self, command: str, **filled: object) -> Any:
        """The JSON that the console answers."""
        done = self.run(command, **filled)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
