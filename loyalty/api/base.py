"""The base of loyalty's doors: camelCase, and timed by route, as the runbook of slow answers asks."""

from __future__ import annotations

import time
from typing import Any, Final

from django.http import HttpResponseBase
from prometheus_client import Histogram

from opsconsole.core.camel import CamelView

# Around 500 ms, above which the 95th percentile is an alert (runbook 8).
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

LATENCY: Final = Histogram(
    "loyalty_api_latency_seconds", "How long the doors of loyalty take to answer.", ["method", "route"], buckets=BUCKETS
)


class LoyaltyView(CamelView):
    """A door of loyalty."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer, and note how long it took."""
        begin = time.perf_counter()
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        match = request.resolver_match
        if match is not None:
            LATENCY.labels(request.method or "", match.route).observe(time.perf_counter() - begin)
        return answer
