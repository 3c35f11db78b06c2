"""What monitoring refuses."""

from __future__ import annotations

from opsconsole.core.errors import Invalid, NotFound, RuleBroken


class IncidentNotFound(NotFound):
    """No such incident, or none that the actor may see."""

    code = "incident_not_found"


class StillFiring(RuleBroken):
    """An incident whose alerts still fire is ended only by who says that they know."""

    code = "still_firing"


class NotificationInvalid(Invalid):
    """What came is not a notification of Alertmanager."""

    code = "notification_invalid"


class ItemNotFound(NotFound):
    """The checklist has no such item."""

    code = "item_not_found"


class NotForPeople(RuleBroken):
    """An item that the system evaluates is not ticked by hand."""

    code = "evaluated_by_the_system"


class ReasonMissing(Invalid):
    """Why must be said."""

    code = "reason_missing"
