"""The states of a change, and which may follow which."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from opsconsole.core.states import States


class ChangeState(States):
    """A change is requested, agreed to and applied, once; or it ends and nothing is changed."""

    REQUESTED = "requested", _("requested")
    APPROVED = "approved", _("approved")
    APPLIED = "applied", _("applied")
    REJECTED = "rejected", _("rejected")
    CANCELLED = "cancelled", _("cancelled")
    EXPIRED = "expired", _("expired")
    STALE = "stale", _("stale")
    FAILED = "failed", _("failed")

    @classmethod
    def starts(cls) -> frozenset[str]:
        """Every change is born requested."""
        return frozenset({cls.REQUESTED.value})

    @classmethod
    def table(cls) -> dict[str, frozenset[str]]:
        """Approved goes back to requested when an approval falls away; the rest ends it."""
        given_up = {cls.REJECTED.value, cls.CANCELLED.value, cls.EXPIRED.value}
        return {
            cls.REQUESTED.value: frozenset({cls.APPROVED.value, *given_up}),
            cls.APPROVED.value: frozenset(
                {cls.REQUESTED.value, cls.APPLIED.value, cls.STALE.value, cls.FAILED.value, *given_up}
            ),
        }


OPEN = (ChangeState.REQUESTED.value, ChangeState.APPROVED.value)  # it has not ended
