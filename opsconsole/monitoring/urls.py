"""The addresses of monitoring, under /api/."""

from django.urls import path

from opsconsole.monitoring import api

urlpatterns = [
    path("alerts", api.Alerts.as_view(), name="alerts"),
    path("incidents", api.Incidents.as_view(), name="incidents"),
    path("incidents/<uuid:incident_id>", api.OneIncident.as_view(), name="incident"),
    path("incidents/<uuid:incident_id>/acknowledge", api.AcknowledgeIncident.as_view(), name="incident-acknowledge"),
    path("incidents/<uuid:incident_id>/comment", api.CommentIncident.as_view(), name="incident-comment"),
    path("incidents/<uuid:incident_id>/resolve", api.ResolveIncident.as_view(), name="incident-resolve"),
    path("checklists/daily", api.DailyChecklist.as_view(), name="checklist"),
    path("checklists/daily/<slug:item>", api.TickItem.as_view(), name="checklist-item"),
    path("checklists", api.ChecklistHistory.as_view(), name="checklists"),
]
