"""What a target may answer, and what the engine makes of it. Nothing is ever guessed.

of a call                                   of a probe
Done         it happened                    Done, Refused, Skipped   as of a call
Refused      it will not happen             NeverHappened            may be sent again under the same key
Skipped      could not be undone, and why   NoAnswer                 ask again later
Unclear      may or may not have happened   CannotTell               a person must find out
NotStarted   certainly not, try again
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from opsconsole.plans.states import StepState


@dataclass(frozen=True, slots=True)
class Done:
    """It happened; `result` is what the target said of it."""

    state: ClassVar[StepState] = StepState.SUCCEEDED
    progress: ClassVar[bool] = True
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """The target refused for good; nothing happened."""

    state: ClassVar[StepState] = StepState.FAILED
    progress: ClassVar[bool] = True
    code: str
    reason: str

    @property
    def result(self) -> dict[str, Any]:
        """Why."""
        return {"code": self.code, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Skipped:
    """It can no longer be undone, and that is said rather than failed."""

    state: ClassVar[StepState] = StepState.SKIPPED
    progress: ClassVar[bool] = True
    code: str
    reason: str

    @property
    def result(self) -> dict[str, Any]:
        """Why."""
        return {"code": self.code, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Unclear:
    """The call went out and no trustworthy answer came back: to be probed."""

    state: ClassVar[StepState] = StepState.UNKNOWN
    progress: ClassVar[bool] = True
    detail: str

    @property
    def result(self) -> dict[str, Any]:
        """What was seen."""
        return {"detail": self.detail}


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The target certainly did nothing; `retry_after` seconds are its wish, if it said one."""

    state: ClassVar[StepState] = StepState.PENDING
    progress: ClassVar[bool] = False
    detail: str
    retry_after: float | None = None

    @property
    def result(self) -> dict[str, Any]:
        """What was seen."""
        return {"detail": self.detail}


@dataclass(frozen=True, slots=True)
class NeverHappened:
    """The target does not know the key, and honours it: sending again is safe."""

    state: ClassVar[StepState] = StepState.PENDING
    progress: ClassVar[bool] = True

    @property
    def result(self) -> dict[str, Any]:
        """That it was asked."""
        return {"detail": "the target does not know this key; sent again under the same one"}


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The probe did not get through."""

    state: ClassVar[StepState] = StepState.UNKNOWN
    progress: ClassVar[bool] = False
    detail: str
    retry_after: float | None = None

    @property
    def result(self) -> dict[str, Any]:
        """What was seen."""
        return {"detail": self.detail}


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The target answers no probes: only a person can find out."""

    state: ClassVar[StepState] = StepState.UNKNOWN
    progress: ClassVar[bool] = True
    needs_person: ClassVar[bool] = True
    detail: str

    @property
    def result(self) -> dict[str, Any]:
        """What was seen."""
        return {"detail": self.detail}


Outcome = Done | Refused | Skipped | Unclear | NotStarted
Probed = Done | Refused | Skipped | NeverHappened | NoAnswer | CannotTell
Answered = Outcome | Probed
