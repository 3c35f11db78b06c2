"""`python -m tests.faults.guard VAR`: outlives the test run by a moment, and leaves nothing of it behind.

Waits for its standard input to close, which happens however the test run ends, also by kill -9; then ends the
embedded servers of the folder and removes it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from opsconsole.embedded.places import Places
from opsconsole.embedded.postgres import Postgres
from opsconsole.embedded.redis import Redis


def main() -> None:
    """Wait, then tidy up."""
    var = Path(sys.argv[1])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    if not var.exists():
        return
    places = Places(var)
    for server in (Redis(places), Postgres(places)):
        server.stop()
    if places.sockets.parent != var:
        shutil.rmtree(places.sockets, ignore_errors=True)
    shutil.rmtree(var.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
