"""The admin site: who may enter, what its front page is, and how a refusal of the domain becomes an answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.conf import settings
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters

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
        """Without Django's password form, and with the steps of logging in."""
        from opsconsole.identity import enrolment, login  # noqa: PLC0415 - no models yet when the site is made
        from opsconsole.runbooks.admin import pages  # noqa: PLC0415 - as above

        def step(view: Callable[[AdminSite, HttpRequest], HttpResponseBase]) -> Callable[..., HttpResponseBase]:
            return never_cache(csrf_protect(sensitive_post_parameters()(partial(view, self))))

        return [
            path("login/code/", step(login.code_step), name="login_code"),
            path("login/enrol/", step(enrolment.enrol_step), name="login_enrol"),
            path("second-factor/", self.admin_view(step(enrolment.own_page)), name="second_factor"),
            path("runbooks/", self.admin_view(partial(pages.shelf_page, site=self)), name="runbooks_shelf"),
            path("runbooks/alerts/", self.admin_view(partial(pages.alerts_page, site=self)), name="runbooks_alerts"),
            path(
                "runbooks/alerts/<slug:name>/",
                self.admin_view(partial(pages.alert_page, site=self)),
                name="runbooks_alert",
            ),
            path(
                "runbooks/<slug:id>/", self.admin_view(partial(pages.runbook_page, site=self)), name="runbooks_runbook"
            ),
            *(url for url in super().get_urls() if getattr(url, "name", None) not in LEFT_OUT),
        ]

    def has_permission(self, request: HttpRequest) -> bool:
        """Whoever has a desk here, and has taken every step that is asked of them."""
        from opsconsole.identity import sessions  # noqa: PLC0415 - no models yet when the site is made

        return super().has_permission(request) and sessions.is_complete(request)

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The first step of logging in; who is in goes to the front page."""
        from opsconsole.identity.login import PasswordStep  # noqa: PLC0415 - no models yet when the site is made

        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index", current_app=self.name))
        context = {**self.each_context(request), "title": _("Log in"), "app_path": request.get_full_path()}
        request.current_app = self.name
        answer = PasswordStep.as_view(extra_context={**context, **(extra_context or {})})(request)
        return cast(HttpResponse, answer)

    def admin_view(self, view: View, cacheable: bool = False) -> View:  # noqa: FBT001, FBT002 - Django's form
        """A view of the admin: what the viewer may not see is not found, what they may not do is forbidden."""

        @wraps(view)
        def translating(*args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return view(*args, **kwargs)
            except NotFound as error:
                raise Http404(str(error.told)) from error
            except Denied as error:
                raise PermissionDenied(str(error.told)) from error

        return super().admin_view(cast(View, translating), cacheable)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """What the viewer may see, by app; worked out only where it is looked at: the menu of each page is our own."""
        return cast(list[Any], SimpleLazyObject(partial(super().get_app_list, request, app_label)))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """What needs the viewer now, and how things stand."""
        from opsconsole.console.home import home_sections  # noqa: PLC0415 - models are not loaded when the site is made

        return super().index(request, {**(extra_context or {}), **home_sections(request)})

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """What the palette finds, afresh each time: rights and rows change, and a cache would not know."""
        from opsconsole.console.search import search  # noqa: PLC0415 - as above

        began = time.monotonic()
        found = search(request, request.GET.get("s", ""))
        context = {
            **(extra_context or {}),
            "page_obj": Paginator(found, max(len(found), 1)),
            "results": Paginator(found, max(len(found), 1)).page(1),
            "page_counter": 0,
            "execution_time": time.monotonic() - began,
            "command_show_history": False,
        }
        return TemplateResponse(
            request,
            "unfold/helpers/command_results.html",
            context,
            headers={"HX-Trigger": "search"},
        )


def environment(_request: HttpRequest) -> tuple[str, str]:
    """Where this is, at the top of each page: production must be told from everything else at a glance."""
    if settings.PRODUCTION:
        return str(_("Production")), "danger"
    return str(settings.OPS_ENV), "info"


def stylesheet(_request: HttpRequest) -> str:
    """Our own style sheet."""
    return static("opsconsole/console.css")


def login_stylesheet(_request: HttpRequest) -> str:
    """The style sheet of the steps of logging in."""
    return static("opsconsole/login.css")


def script(_request: HttpRequest) -> str:
    """Our own script."""
    return static("opsconsole/console.js")


def passkey_script(_request: HttpRequest) -> str:
    """The script that asks an authenticator."""
    return static("opsconsole/passkey.js")


def favicon(_request: HttpRequest) -> str:
    """Our own icon."""
    return static("opsconsole/icon.svg")
