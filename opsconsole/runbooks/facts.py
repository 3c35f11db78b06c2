"""What the console tells Prometheus, asked for on a page: the values as they are now, without Prometheus."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from prometheus_client import REGISTRY, CollectorRegistry, multiprocess
from prometheus_client.core import Metric

from opsconsole.core import metrics
from opsconsole.core.texts import Text
from opsconsole.runbooks.diagnostics import Column, Diagnostic, Shown, Values

MILLI: Final = 1000
P95: Final = 0.95


def values_of_fact(*, name: str, label: Text, permission: str, fact: str) -> Diagnostic:
    """A diagnostic over a fact: a row for each of its labels."""

    def rows(_values: Values) -> Iterator[Sequence[Any]]:
        for one in metrics.registered():
            if one.name in (fact, fact.removesuffix("_total")):
                for labels, value in one.samples():
                    told = ", ".join(f"{key}={said}" for key, said in zip(one.labels, labels, strict=True))
                    first = value[0] if isinstance(value, tuple) else value
                    yield f"{fact}{{{told}}}" if told else fact, Decimal(str(first))

    return Diagnostic(
        name=name,
        label=label,
        permission=permission,
        columns=[Column("metric", _("metric"), Shown.CODE), Column("value", _("value"), Shown.FIGURE)],
        rows=rows,
        empty=_("The console tells no such metric."),
    )


def slowest(*, name: str, label: Text, permission: str, histogram: str, by: str, most: int) -> Diagnostic:
    """A diagnostic over a histogram of seconds: the slowest by one of its labels, since the processes started."""

    def rows(_values: Values) -> Iterable[Sequence[Any]]:
        found = [
            (said, count, _milliseconds(total / count), _milliseconds(_quantile(buckets, P95)))
            for said, (buckets, count, total) in _measured(histogram, by).items()
            if count
        ]
        return sorted(found, key=lambda one: one[3], reverse=True)[:most]

    return Diagnostic(
        name=name,
        label=label,
        permission=permission,
        columns=[
            Column("endpoint", _("endpoint"), Shown.CODE),
            Column("requests", _("requests"), Shown.NUMBER),
            Column("mean_ms", _("mean, ms"), Shown.NUMBER),
            Column("p95_ms", _("95 % within, ms"), Shown.NUMBER),
        ],
        rows=rows,
        empty=_("Nothing has been measured since the processes started."),
    )


Measured = tuple[dict[float, float], int, float]  # how many within each bound, how many, how many seconds


def _measured(histogram: str, by: str) -> dict[str, Measured]:
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    counts: dict[str, float] = defaultdict(float)
    sums: dict[str, float] = defaultdict(float)
    for metric in _families(histogram):
        for sample in metric.samples:
            said = sample.labels.get(by, "")
            if sample.name.endswith("_bucket"):
                buckets[said][float(sample.labels["le"])] += sample.value
            elif sample.name.endswith("_count"):
                counts[said] += sample.value
            elif sample.name.endswith("_sum"):
                sums[said] += sample.value
    return {said: (dict(buckets[said]), int(counts[said]), sums[said]) for said in buckets}


def _families(name: str) -> Iterator[Metric]:
    """What every web process has measured, or this one where it is the only one."""
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # half typed upstream
    return (metric for metric in registry.collect() if metric.name == name)


def _quantile(buckets: dict[float, float], share: float) -> float:
    """The value below which this share lies, taken as even within its bucket, as Prometheus does."""
    bounds = sorted(buckets)
    wanted = share * buckets[bounds[-1]]
    below, lower = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            if bound == float("inf"):
                return lower
            inside = buckets[bound] - below
            return lower + (bound - lower) * ((wanted - below) / inside if inside else 0.0)
        below, lower = buckets[bound], bound
    return lower


def _milliseconds(seconds: float) -> int:
    return round(seconds * MILLI)
