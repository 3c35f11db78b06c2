"""How workers share the suite: whole files, the long ones first, those that wait beside those that work.

`make test` runs it so. `make test ARGS="-n 0"` runs one test after the other in one process, as `--pdb` does by itself.
"""

from __future__ import annotations

import os

import pytest

from tests.environment import ROOT, WORKER

MOST = 6  # workers; the longest file bounds what more of them could save

# Those that take longer than five seconds; alternately such as wait for leases and servers, and such as compute.
LONG = [
    f"tests/{name}.py"
    for name in (
        "faults/test_crash_points",
        "browser/test_story",
        "stories/test_plan_types",
        "browser/test_plan_types",
        "faults/test_servers",
        "faults/test_sweep_crash_points",
        "access/test_schema",
        "faults/test_bank",
        "admin/test_pages",
        "faults/test_control",
        "api/test_outages",
        "faults/test_record_crash_points",
        "access/test_matrix",
        "faults/test_lifetimes",
        "console/test_demo",
        "faults/test_kills",
        "faults/test_rivals",
        "gateways/test_http",
        "faults/test_persons",
        "access/test_hostile",
        "embedded/test_up",
        "treasury/test_import_faults",
        "treasury/bank_files/test_import_kills",
        "embedded/test_damage",
        "embedded/test_lifetime",
        "embedded/test_places",
        "admin/test_denials",
        "stories/test_demo",
        "plans/test_runs",
        "journal/test_proofs",
        "embedded/test_manage",
        "journal/test_exports",
    )
]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: half of the suite's time is waiting."""
    return min(MOST, len(os.sched_getaffinity(0)) + 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are handed out in the order of their first test."""
    if missing := [name for name in LONG if not (ROOT / name).exists()]:
        raise pytest.UsageError(f"tests/parallel.py names files that are not there: {', '.join(missing)}")
    if WORKER:
        rank = {name: number for number, name in enumerate(LONG)}
        items.sort(key=lambda item: rank.get(str(item.path.relative_to(ROOT)), len(LONG)))
