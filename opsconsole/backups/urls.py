"""The addresses of backups, under /api/."""

from django.urls import path

from opsconsole.backups import api

urlpatterns = [
    path("backups", api.Backups.as_view(), name="backups"),
    path("backups/<uuid:backup_id>", api.OneBackup.as_view(), name="backup"),
]
