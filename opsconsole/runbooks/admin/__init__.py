"""Runbooks in the admin: the shelf, a page for each runbook and for each alert."""
