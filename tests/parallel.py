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
        "access/test_schema",
        "faults/test_record_crash_points",
        "browser/test_pages_axe",
        "faults/test_sweep_crash_points",
        "admin/test_pages",
        "browser/test_plan_types",
        "stories/test_plan_types",
        "access/test_hostile",
        "console/test_demo",
        "access/test_scopes",
        "embedded/test_up",
        "faults/test_bank",
        "access/test_actions",
        "browser/test_story",
        "access/test_matrix",
        "faults/test_servers",
        "api/test_outages",
        "faults/test_control",
        "faults/test_lifetimes",
        "treasury/test_import_faults",
        "faults/test_kills",
        "loyalty/campaigns/test_kills",
        "faults/test_notifications",
        "faults/test_persons",
        "faults/test_rivals",
        "browser/test_passkey",
        "admin/test_links",
        "loyalty/runbooks/test_curl",
        "gateways/test_credit_transfer",
        "treasury/closing/test_straight_on",
        "treasury/bank_files/test_import_kills",
        "gateways/test_http",
        "admin/test_french",
        "treasury/closing/test_freeze",
        "embedded/test_damage",
        "stories/test_demo",
        "embedded/test_manage",
        "embedded/test_lifetime",
        "admin/test_plan_buttons",
        "embedded/test_places",
        "admin/test_denials",
        "plans/test_runs",
        "plans/test_evidence",
        "monitoring/test_prometheus",
        "journal/test_proofs",
        "journal/test_exports",
    )
]

# What waits for a browser, a process that starts or a socket, on a machine that may be busy with anything: one failure
# there is tried once more, and named in the summary. What proves that something happens exactly once, that a right is
# refused or that a record is whole is never tried again: there, one failure in a thousand is the finding.
SECOND_TRIAL = ("browser/", "console/", "embedded/", "gateways/", "monitoring/", "notifications/", "sandbox_bank/")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: half of the suite's time is waiting."""
    return min(MOST, len(os.sched_getaffinity(0)) + 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files are handed out in the order of their first test."""
    if missing := [name for name in LONG if not (ROOT / name).exists()]:
        raise pytest.UsageError(f"tests/parallel.py names files that are not there: {', '.join(missing)}")
    for item in items:
        if str(item.path.relative_to(ROOT / "tests")).startswith(SECOND_TRIAL):
            item.add_marker(pytest.mark.flaky(reruns=1))
    if WORKER:
        rank = {name: number for number, name in enumerate(LONG)}
        items.sort(key=lambda item: rank.get(str(item.path.relative_to(ROOT)), len(LONG)))
