"""Every address of the console."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from opsconsole.core import health
from opsconsole.core.document import Document
from opsconsole.identity.invitations import Invitation

READ_ONLY = ["get", "head"]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("invitation/<uuid:user_id>/<str:secret>", Invitation.as_view(), name="invitation"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path(
        "api/schema",
        SpectacularAPIView.as_view(http_method_names=READ_ONLY, generator_class=Document),
        name="schema",
    ),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema", http_method_names=READ_ONLY), name="docs"),
    path("api/", include("loyalty.urls")),  # first: addresses are tried in turn, and tills earn all day
    path("api/", include("opsconsole.journal.urls")),
    path("api/", include("opsconsole.approvals.urls")),
    path("api/", include("opsconsole.changes.urls")),
    path("api/", include("opsconsole.identity.urls")),
    path("api/", include("opsconsole.monitoring.urls")),
    path("api/", include("opsconsole.runbooks.urls")),
    path("api/", include("opsconsole.backups.urls")),
    path("api/notifications/", include("opsconsole.notifications.urls")),
    path("api/ops/", include("opsconsole.treasury.urls")),
    path("api/ops/", include("opsconsole.plans.urls")),
]

handler400 = "opsconsole.core.problems.bad_request"
handler403 = "opsconsole.core.problems.denied"
handler404 = "opsconsole.core.problems.not_found"
handler500 = "opsconsole.core.problems.fault"
