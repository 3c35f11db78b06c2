"""What can go wrong, as one tree; every door turns a member of it into its own kind of answer.

DomainError
├── Invalid       400  the request itself is malformed
├── Denied        403  this actor may not do this
├── NotFound      404  no such thing, or not one this actor may see
├── Conflict      409  right request, wrong moment: the state has moved on
├── RuleBroken    422  understood, and forbidden by a rule of the business
└── Unavailable   503  a dependency does not answer; try again later
"""

from __future__ import annotations

from typing import Any, ClassVar

from opsconsole.core.texts import Text, english


class Told(Exception):
    """An error with a sentence for people: `told` in the language of whoever looks at it, `message` in English.

    It takes a text that was given lazily: `format_lazy(_("{bank} is paused."), bank=bank.name)`. English is for what
    is kept and for programs.
    """

    def __init__(self, told: Text) -> None:
        super().__init__(told)
        self.told = told

    @property
    def message(self) -> str:
        """The sentence in English."""
        return english(self.told)

    def __str__(self) -> str:
        return self.message


class DomainError(Told):
    """A refusal a person can act on: a stable code, a sentence, and the facts behind it."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "error"

    def __init__(self, told: Text, **fields: Any) -> None:
        super().__init__(told)
        self.fields = fields


class Invalid(DomainError):
    """The request is malformed; `errors` maps each field to what is wrong with it."""

    status = 400
    code = "invalid"


class Denied(DomainError):
    """The actor is known and lacks the right."""

    status = 403
    code = "denied"


class NotFound(DomainError):
    """There is no such object, or none this actor may see: the two are not told apart."""

    status = 404
    code = "not_found"


class Conflict(DomainError):
    """The object is not in a state that allows this, or somebody else is at it."""

    status = 409
    code = "conflict"


class RuleBroken(DomainError):
    """A rule of the business forbids this."""

    status = 422
    code = "rule_broken"


class Unavailable(DomainError):
    """Something this needs does not answer; nothing was done."""

    status = 503
    code = "unavailable"


class Busy(Unavailable):
    """Another session keeps what this would change, and did not let go in time; nothing was done."""

    code = "busy"
