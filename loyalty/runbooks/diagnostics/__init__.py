"""Every question that the runbooks of loyalty put to the database, by what it is about."""

from loyalty.runbooks.diagnostics import campaigns, database, fraud, members, programs, workers

DIAGNOSTICS = (
    *campaigns.DIAGNOSTICS,
    *programs.DIAGNOSTICS,
    *members.DIAGNOSTICS,
    *fraud.DIAGNOSTICS,
    *workers.DIAGNOSTICS,
    *database.DIAGNOSTICS,
)
