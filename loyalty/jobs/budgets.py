"""Budgets are watched."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from loyalty.budgets import has_news
from loyalty.services import budgets
from opsconsole.core.actors import SYSTEM
from opsconsole.core.queue import enqueue
from opsconsole.core.schedule import periodic

WATCH: Final = "loyalty.jobs.budgets.watch"


@periodic(every=timedelta(seconds=30))
def watch_budgets() -> None:
    """Wake a worker when a budget has passed a threshold, or is back: adding a week of a large ledger up takes time."""
    if has_news():
        enqueue(WATCH)


def watch() -> None:
    """Raise and close alerts; safe to call at any time, by any number of workers."""
    budgets.watch_budgets(actor=SYSTEM("budgets"))
