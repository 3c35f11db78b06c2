"""What came of handing a message over."""

from __future__ import annotations

from dataclasses import dataclass

ANSWER_KEPT = 500  # characters of what the receiver said


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; without an error it arrived.

    `permanent`: no further attempt can better it. `unwell`: the endpoint itself is in trouble, and others that go
    there should wait. `retry_after`: seconds for which the endpoint asked to be left alone.
    """

    error: str = ""
    permanent: bool = False
    unwell: bool = False
    retry_after: float | None = None
    status: int | None = None
    answer: str = ""
    seconds: float = 0.0

    @property
    def arrived(self) -> bool:
        """Whether the receiver has it."""
        return not self.error
