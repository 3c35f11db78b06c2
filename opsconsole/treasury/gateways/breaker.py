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
    """Closed, open, or on trial; safe to share between threads."""

    def __init__(
        self, *, threshold: int = 8, cooldown: float = 3.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._threshold = threshold
        self._cooldown = cooldown
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None
        self._trial_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls are held back, but for the one on trial."""
        return self._open_until is not None

    def admit(self) -> float | None:
        """None: go ahead, and report how it went. Otherwise how many seconds to keep away."""
        if not self.is_open:
            return None
        with self._lock:
            if self._open_until is None:
                return None
            now = self._clock()
            if now < self._open_until:
                return self._open_until - now
            if self._trial_until is not None and now < self._trial_until:
                return TRIAL_PAUSE
            # A trial that never reports must not hold the others back for ever.
            self._trial_until = now + self._cooldown
            return None

    def succeeded(self) -> None:
        """The bank answered: close."""
        if self._failures == 0:
            return
        with self._lock:
            self._failures = 0
            self._open_until = self._trial_until = None

    def failed(self) -> None:
        """The bank was not to be had: count it; open after so many in a row, or after a failed trial."""
        with self._lock:
            self._failures += 1
            on_trial = self._trial_until is not None
            if on_trial or (self._open_until is None and self._failures >= self._threshold):
                self._open_until = self._clock() + self._cooldown
                self._trial_until = None
