"""A circuit breaker: after so many failures in a row, leave the bank alone for a while, then try with one call.

It lives in one process and is a hint that saves time, never truth: nothing may be concluded from it about a payment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# While one call tries whether the bank is back, the others look again this soon.
TRIAL_PAUSE = 0.2


class Breaker:
    """Closed, open, or trying; safe to share between threads."""

    def __init__(
        self, *, threshold: int = 8, cooldown: float = 3.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._threshold = threshold
        self._cooldown = cooldown
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._blocked_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls are being held back."""
        return self._blocked_until is not None

    def admit(self) -> float | None:
        """None: go ahead. Otherwise how many seconds to keep away."""
        if self._blocked_until is None:
            return None
        with self._lock:
            if self._blocked_until is None:
                return None
            now = self._clock()
            if now < self._blocked_until:
                # The one on trial holds the others back by moving the time on, so nobody waits for a call that died.
                on_trial = self._failures > self._threshold
                return min(TRIAL_PAUSE, self._blocked_until - now) if on_trial else self._blocked_until - now
            self._failures = self._threshold + 1
            self._blocked_until = now + self._cooldown
            return None

    def succeeded(self) -> None:
        """The bank answered: close."""
        if self._failures == 0:
            return
        with self._lock:
            self._failures = 0
            self._blocked_until = None

    def failed(self) -> None:
        """The bank was not to be had: count it, and open after so many in a row or after a failed trial."""
        with self._lock:
            on_trial = self._failures > self._threshold
            if self._blocked_until is not None and not on_trial:
                return
            self._failures = self._threshold if on_trial else self._failures + 1
            if self._failures >= self._threshold:
                self._blocked_until = self._clock() + self._cooldown
