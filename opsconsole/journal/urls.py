"""Addresses of the journal, under /api/."""

from django.urls import path

from opsconsole.journal import api, exports_api

urlpatterns = [
    path("journal", api.EntryList.as_view(), name="journal-list"),
    path("journal/export", exports_api.EntryExport.as_view(), name="journal-export"),
    path("journal/<uuid:entry_id>", api.EntryDetail.as_view(), name="journal-entry"),
    path("journal/<uuid:entry_id>/proof", api.EntryProof.as_view(), name="journal-proof"),
]
