"""`python -m bench [NAME ...]`: run the benchmarks, print a table, keep the figures, exit 1 below a documented ratio.

Everything runs on servers of its own under var/bench; nothing of a running console is touched.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = (
    "journal",
    "audited",
    "plans",
    "imports",
    "api",
    "scale",
    "loyalty_earn",
    "loyalty_campaign",
    "loyalty_books",
    "loyalty_vouchers",
    "loyalty_preview",
)


def main() -> int:
    """Run what is asked for; 0 when every ratio holds."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size: a smoke test, judged by nothing")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")

    var = ROOT / "var" / "bench"
    os.environ.update(OPS_ENV="test", OPS_VAR=str(var), OPS_DEMO="1", LOG_LEVEL="ERROR")
    os.environ["DJANGO_SETTINGS_MODULE"] = "opsconsole.settings"
    for url in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        os.environ.pop(url, None)

    from opsconsole import embedded

    servers = embedded.start(var)
    try:
        return _run(options.names or NAMES, quick=options.quick)
    finally:
        from django.db import connections

        connections.close_all()
        servers.release()
        shutil.rmtree(var, ignore_errors=True)


def _run(names: tuple[str, ...] | list[str], *, quick: bool) -> int:
    import django

    django.setup()
    from django.core.management import call_command

    from bench.figures import Figure, print_table

    call_command("migrate", interactive=False, verbosity=0)
    figures: list[Figure] = []
    for name in names:
        print(f"bench: {name}", file=sys.stderr, flush=True)
        figures += importlib.import_module(f"bench.{name}").run(scale=0.1 if quick else 1.0)
    print_table(figures)
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    stamp = datetime.now(UTC)
    (results / f"{stamp:%Y%m%d-%H%M%S}.json").write_text(
        json.dumps(
            {
                "at": stamp.isoformat(),
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "quick": quick,
                "figures": [figure.as_json() for figure in figures],
            },
            indent=2,
        )
    )
    missed = [figure for figure in figures if not figure.holds]
    for figure in missed:
        print(f"below its ratio: {figure.name}: {figure.ratio:.2f}, documented {figure.at_least}", file=sys.stderr)
    return 1 if missed and not quick else 0


if __name__ == "__main__":
    sys.exit(main())
