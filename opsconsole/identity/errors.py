"""What can go wrong when people prove who they are.

NotFound 404     NoSecondFactor
RuleBroken 422   NotByOneself
Unavailable 503  TooManyAttempts
"""

from __future__ import annotations

from opsconsole.core.errors import NotFound, RuleBroken, Unavailable


class NoSecondFactor(NotFound):
    """This person has no second factor."""

    code = "no_second_factor"


class NotByOneself(RuleBroken):
    """Somebody else has to do this."""

    code = "not_by_oneself"


class TooManyAttempts(Unavailable):
    """Too many tries that failed; `retry_after` says in seconds when the next one is looked at."""

    code = "too_many_attempts"
