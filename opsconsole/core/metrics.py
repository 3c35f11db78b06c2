"""Facts for Prometheus, read from the database when it asks.

Workers fork per job and web processes are several, so a counter in a process would lie. Each app registers its facts
in its `metrics.py`; every label value is emitted, zero included, so that an alert sees the very first failure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from django.db import Error, connection
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from opsconsole.core import queue
from opsconsole.core.heartbeats import KINDS

log = structlog.get_logger(__name__)

# The labels of each sample with its value; for a summary, how many were measured and what they add up to.
Samples = Iterable[tuple[tuple[str, ...], float | tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Fact:
    """One metric: its name, what it means, its labels, and the query that knows its values now."""

    name: str
    help: str
    kind: Literal["gauge", "counter", "summary"]
    labels: tuple[str, ...]
    samples: Callable[[], Samples]


_facts: dict[str, Fact] = {}


def register(*facts: Fact) -> None:
    """Have these facts told at every scrape."""
    for fact in facts:
        _facts[fact.name] = fact


def registered() -> list[Fact]:
    """All facts, by name."""
    return [_facts[name] for name in sorted(_facts)]


class FactCollector(Collector):
    """Asks every fact; one that cannot answer is left out and counted in `ops_metric_errors`."""

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        silent = 0
        for fact in registered():
            try:
                metric = _metric(fact)
            except (Error, RedisError) as error:
                log.warning("metrics.silent", metric=fact.name, error=str(error))
                silent += 1
                continue
            yield metric
        yield GaugeMetricFamily("ops_metric_errors", "Facts that could not be read at this scrape.", silent)


def _metric(fact: Fact) -> Metric:
    families = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "summary": SummaryMetricFamily}
    metric: Any = families[fact.kind](fact.name, fact.help, labels=fact.labels)
    for labels, value in fact.samples():
        metric.add_metric(list(labels), *(value if isinstance(value, tuple) else (value,)))
    family: Metric = metric
    return family


def rows(query: str) -> list[tuple[Any, ...]]:
    """The rows of a query that takes no parameters."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def number(query: str) -> Samples:
    """One value without labels; NULL is zero."""
    value = rows(query)[0][0]
    return [((), float(value or 0))]


def _queue_depth() -> Samples:
    return [((name,), depth) for name, depth in queue.depths().items()]


def _outbox() -> Samples:
    counted = dict(rows("select status, count(*) from core_outbox_deliveries where status <> 'delivered' group by 1"))
    return [((status,), float(counted.get(status, 0))) for status in ("due", "dead")]


def _silence() -> Samples:
    silent = dict(rows("select kind, extract(epoch from now() - max(beat_at)) from core_worker_heartbeats group by 1"))
    return [((kind,), float(silent.get(kind, math.inf))) for kind in sorted({*KINDS, *silent})]


register(
    Fact("ops_queue_depth", "Wake-ups waiting in each queue.", "gauge", ("queue",), _queue_depth),
    Fact("ops_outbox_deliveries", "Deliveries of events not done, by status.", "gauge", ("status",), _outbox),
    Fact(
        "ops_worker_silence_seconds",
        "Seconds since the last of a kind of process said it is alive; infinite when none ever did.",
        "gauge",
        ("kind",),
        _silence,
    ),
)
