"""Addresses of changes, under /api/."""

from django.urls import path

from opsconsole.changes import api

urlpatterns = [
    path("changes", api.Changes.as_view(), name="changes"),
    path("changes/<uuid:change_id>", api.OneChange.as_view(), name="change"),
    path("changes/<uuid:change_id>/approve", api.ApproveChange.as_view(), name="change-approve"),
    path("changes/<uuid:change_id>/reject", api.RejectChange.as_view(), name="change-reject"),
    path("changes/<uuid:change_id>/cancel", api.CancelChange.as_view(), name="change-cancel"),
    path("changes/<uuid:change_id>/apply", api.ApplyChange.as_view(), name="change-apply"),
    path("change-kinds", api.ChangeKinds.as_view(), name="change-kinds"),
]
