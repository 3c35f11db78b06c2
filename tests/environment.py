"""What must stand before Django reads its settings: the test environment, and servers to run on.

Loaded by `-p tests.environment`, ahead of everything. Without DATABASE_URL the embedded servers under var/test are
started or joined; they are left as they were found.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

os.environ["OPS_ENV"] = "test"
os.environ.setdefault("OPS_VAR", str(ROOT / "var" / "test"))
os.environ.setdefault("OPS_DB_KEEP", "1")
os.environ.setdefault("LOG_LEVEL", "WARNING")

if "DATABASE_URL" not in os.environ or "REDIS_URL" not in os.environ:
    from opsconsole import embedded

    _servers = embedded.start(Path(os.environ["OPS_VAR"]))
    atexit.register(_servers.release)
