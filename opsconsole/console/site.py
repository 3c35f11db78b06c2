"""The admin site: who may enter, what its front page is, and how a refusal of the domain becomes an answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from opsconsole.core.errors import Denied, NotFound

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite as _Site
else:
    from unfold.sites import UnfoldAdminSite as _Site

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

# Changing a user is an approved, journalled action; Django's own form would write past both.
LEFT_OUT = frozenset(("password_change", "password_change_done"))


class ConsoleSite(_Site):
    """unfold's site with our front page."""

    index_template = "console/home.html"
    index_title = gettext_lazy("Home")

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Without Django's password form."""
        return [url for url in super().get_urls() if getattr(url, "name", None) not in LEFT_OUT]

    def admin_view(self, view: View, cacheable: bool = False) -> View:  # noqa: FBT001, FBT002 - Django's form
        """A view of the admin: what the viewer may not see is not found, what they may not do is forbidden."""

        @wraps(view)
        def translating(*args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return view(*args, **kwargs)
            except NotFound as error:
                raise Http404(error.message) from error
            except Denied as error:
                raise PermissionDenied(error.message) from error

        return super().admin_view(cast(View, translating), cacheable)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """What needs the viewer now, and how things stand."""
        from opsconsole.console.home import home_sections  # noqa: PLC0415 - models are not loaded when the site is made

        return super().index(request, {**(extra_context or {}), **home_sections(request)})


def environment(_request: HttpRequest) -> tuple[str, str]:
    """Where this is, at the top of each page: production must be told from everything else at a glance."""
    if settings.PRODUCTION:
        return str(_("Production")), "danger"
    return str(settings.OPS_ENV), "info"


def stylesheet(_request: HttpRequest) -> str:
    """Our own style sheet."""
    return static("opsconsole/console.css")


def script(_request: HttpRequest) -> str:
    """Our own script."""
    return static("opsconsole/console.js")


def favicon(_request: HttpRequest) -> str:
    """Our own icon."""
    return static("opsconsole/icon.svg")
