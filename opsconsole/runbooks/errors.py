"""What can go wrong between a reader and a runbook."""

from opsconsole.core.errors import Invalid, NotFound, Unavailable


class RunbookNotFound(NotFound):
    """There is no such runbook, or the actor may read none."""

    code = "runbook_not_found"


class AlertNotFound(NotFound):
    """No runbook knows an alert of this name."""

    code = "alert_not_found"


class DiagnosticNotFound(NotFound):
    """The runbook has no such diagnostic."""

    code = "diagnostic_not_found"


class ParametersInvalid(Invalid):
    """What was typed cannot be asked with; `errors` has the problems by parameter."""

    code = "parameters_invalid"


class DiagnosticTooSlow(Unavailable):
    """The database did not answer within the time that a diagnostic has."""

    code = "diagnostic_too_slow"


class DiagnosticRefused(Unavailable):
    """The database answers, and refuses this question as things are now."""

    code = "diagnostic_refused"
