"""The daily checklist of the plans runbook: what each item means, and what the system itself can say about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.db import connection
from django.utils.translation import gettext_lazy as _

from opsconsole.core import queue
from opsconsole.core.texts import Text
from opsconsole.journal.selectors import last_check
from opsconsole.monitoring.compliance import last_export, next_day
from opsconsole.monitoring.models import Incident
from opsconsole.monitoring.states import LIVE, Verdict

MOST_SHOWN: Final = 10
DEEPEST_QUEUE: Final = 5
VERIFIED_WITHIN: Final = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class Finding:
    """What an item came to now: the figures, and the rows somebody should look at (`kind`, `id`, `name`)."""

    verdict: Verdict
    figures: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Item:
    """One item: what is to be in order, and who says so: the system by `evaluate`, or a person where there is none."""

    name: str
    title: Text
    hint: Text
    evaluate: Callable[[], Finding] | None = None


def _plans_waiting() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) over (), id, name from ops_plans where status in ('draft', 'staged')"
            " and created_at < now() - interval '24 hours' order by created_at limit %s",
            [MOST_SHOWN],
        )
        found = cursor.fetchall()
    return Finding(
        Verdict.BAD if found else Verdict.GOOD,
        {"waiting": found[0][0] if found else 0},
        [{"kind": "ops_plans", "id": str(pk), "name": name} for _count, pk, name in found],
    )


def _failed_plans() -> Finding:
    live = Incident.objects.filter(status__in=LIVE, subject_kind="ops_plans").order_by("opened_at")
    return Finding(
        Verdict.BAD if live.exists() else Verdict.GOOD,
        {"not_concluded": live.count()},
        [{"kind": "ops_incidents", "id": str(one.pk), "name": one.title} for one in live[:MOST_SHOWN]],
    )


def _queue_depth() -> Finding:
    depths = queue.depths_if_known()
    if depths is None:
        return Finding(Verdict.BAD, {"redis": "does not answer"})
    deepest = max(depths.values(), default=0)
    return Finding(Verdict.GOOD if deepest < DEEPEST_QUEUE else Verdict.BAD, dict(sorted(depths.items())))


def _journal_exported() -> Finding:
    until, checked = last_export(), last_check()
    exported = next_day() is None
    sound = checked is not None and checked.sound and checked.at >= datetime.now(tz=UTC) - VERIFIED_WITHIN
    return Finding(
        Verdict.GOOD if exported and sound else Verdict.BAD,
        {
            "exported_until": until.date().isoformat() if until else None,
            "last_verified": checked.at.isoformat(timespec="seconds") if checked else None,
            "verified_sound": checked.sound if checked else None,
        },
    )


ITEMS: Final[tuple[Item, ...]] = (
    Item(
        "plans_waiting",
        _("No plan has waited for more than 24 hours"),
        _("Drafts and staged plans that were made more than a day ago: approve, reject or cancel them."),
        _plans_waiting,
    ),
    Item(
        "failed_plans",
        _("Failed plans were reviewed"),
        _("Each failed plan has an incident; it is reviewed when that is resolved with its root cause."),
        _failed_plans,
    ),
    Item(
        "queue_depth",
        _("Fewer than 5 wake-ups wait in each queue"),
        _("A queue that grows means that workers are missing, or hang."),
        _queue_depth,
    ),
    Item(
        "journal_exported",
        _("The journal is exported and verified"),
        _("Everything up to the last midnight (UTC) is exported for compliance, and the journal was verified today."),
        _journal_exported,
    ),
    Item(
        "metrics_checked",
        _("The metrics were looked at"),
        _("Open the dashboard, look at a day of it, and say what you saw."),
    ),
)
_BY_NAME: Final = {item.name: item for item in ITEMS}


def item_named(name: str) -> Item | None:
    """The item of this name, if there is one."""
    return _BY_NAME.get(name)


def today() -> date:
    """The checklist's day, which is UTC's."""
    return datetime.now(tz=UTC).date()
