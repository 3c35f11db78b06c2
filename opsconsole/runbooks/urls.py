"""The addresses of runbooks, under /api/."""

from django.urls import path

from opsconsole.runbooks import api

urlpatterns = [
    path("runbooks", api.Runbooks.as_view(), name="runbooks"),
    path("runbooks/<slug:runbook_id>", api.OneRunbook.as_view(), name="runbook"),
    path("runbooks/<slug:runbook_id>/diagnostics/<slug:name>", api.OneDiagnostic.as_view(), name="runbook-diagnostic"),
]
