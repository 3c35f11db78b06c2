"""The base of every model's admin: lists, pages and actions. Nothing is added, edited or deleted by hand.

What may be seen is what the app's access module shows the viewer: anything else is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from django.contrib import messages
from django.contrib.admin import AdminSite, ShowFacets
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.forms import MultipleChoiceField
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from django.views.generic import RedirectView

from opsconsole.core.actors import Actor
from opsconsole.core.admin.actions import Action, ActionForm, Button, Press, request_key
from opsconsole.core.admin.display import named
from opsconsole.core.admin.pages import Crumb, Section
from opsconsole.core.admin.paging import CappedPaginator, NarrowList
from opsconsole.core.errors import Denied, DomainError
from opsconsole.core.idempotency import Answer, KeyInFlight, KeyReused
from opsconsole.core.models import User
from opsconsole.core.texts import Text

Row = TypeVar("Row", bound=Model)
View = Callable[..., HttpResponseBase]

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as _ModelAdmin
else:
    from unfold.admin import ModelAdmin

    class _ModelAdmin(ModelAdmin):
        """unfold's, subscriptable as django-stubs has it."""

        def __class_getitem__(cls, _row: object) -> type[ModelAdmin]:
            return cls


def actor_of(request: HttpRequest) -> Actor:
    """The actor that is the viewer."""
    return Actor.of(cast(User, request.user))


@dataclass(frozen=True, slots=True)
class Tab:
    """One of a few ways to look at a list."""

    text: Text
    url: str
    active: bool


class ConsoleAdmin(_ModelAdmin[Row], Generic[Row]):
    """A model whose rows can be listed, looked at, and moved by actions."""

    actions = None
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # each would count the whole list
    paginator = CappedPaginator
    sortable_by = ()
    change_list_template = "console/list.html"
    detail_template: ClassVar[str] = "console/detail.html"
    nothing: ClassVar[Text] = ""  # said of a list without rows: what that means, and how there come to be some
    row_actions: ClassVar[Sequence[Action[Any]]] = ()

    def __init__(self, model: type[Row], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        # Django would head columns by names of fields that no catalogue knows.
        for field in model._meta.concrete_fields:
            if not isinstance(field.verbose_name, Promise):
                field.verbose_name = named(field.name)

    # --- what a model says of itself ---

    def visible(self, actor: Actor) -> QuerySet[Row]:
        """The rows the actor may see; raises Denied for one who may see none."""
        raise NotImplementedError

    def heading(self, row: Row) -> Text:
        """The title of a row's page."""
        return str(row)

    def badge(self, _row: Row) -> Text:
        """What stands beside the title: a state."""
        return ""

    def sections(self, request: HttpRequest, row: Row) -> Sequence[Section]:
        """The page of a row, from top to bottom."""
        raise NotImplementedError

    def side(self, _request: HttpRequest, _row: Row) -> Sequence[Section]:
        """What stands beside it on a wide screen, and after it on a narrow one."""
        return ()

    def foot(self, _request: HttpRequest, _row: Row) -> Sequence[Section]:
        """What stands below both, as wide as the page."""
        return ()

    def head(self, _request: HttpRequest) -> Sequence[Section]:
        """What stands above the list."""
        return ()

    def list_actions(self) -> Sequence[Action[None]]:
        """Actions that belong to no row."""
        return ()

    def tabs(self, _request: HttpRequest) -> Sequence[Tab]:
        """The few ways in which people look at the list most; none where there is only one."""
        return ()

    def more_urls(self) -> dict[str, View]:
        """Views of a row besides its page, read only: `name -> view(request, row)`."""
        return {}

    def find(self, _rows: QuerySet[Row], _words: str) -> QuerySet[Row] | None:
        """The rows that these words find, by an index; None for Django's own search over `search_fields`."""
        return None

    # --- permissions ---

    def has_view_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:  # noqa: ARG002 - by access
        """Whether the viewer may see any row."""
        return request.user.is_authenticated and self._visible_rows(request) is not None

    def shows(self, request: HttpRequest, pk: object) -> bool:
        """Whether the viewer finds the row with this key here; asked once for each row and request."""
        if not self.has_view_permission(request):
            return False
        rows = self._visible_rows(request)
        if rows is None or not rows.query.where:  # nothing is held back from this viewer
            return rows is not None
        known: dict[tuple[type[Model], str], bool] = request.__dict__.setdefault("_shown_rows", {})
        key = (self.model, str(pk))
        if key not in known:
            known[key] = rows.filter(pk=pk).exists()
        return known[key]

    def _visible_rows(self, request: HttpRequest) -> QuerySet[Row] | None:
        """The rows the viewer may see, worked out once for each request; None where they may see none."""
        known: dict[type[Model], QuerySet[Row] | None] = request.__dict__.setdefault("_visible_rows", {})
        if self.model not in known:
            try:
                known[self.model] = self.visible(actor_of(request))
            except Denied:
                known[self.model] = None
        return known[self.model]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """The same, for the menu."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's form
        """Nobody adds by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:  # noqa: ARG002 - Django's form
        """Nobody edits by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:  # noqa: ARG002 - Django's form
        """Nobody deletes."""
        return False

    # --- rows ---

    def get_queryset(self, request: HttpRequest) -> QuerySet[Row]:
        """The rows the viewer may see."""
        try:
            return self.visible(actor_of(request))
        except Denied:
            return self.model._default_manager.none()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Row], search_term: str
    ) -> tuple[QuerySet[Row], bool]:
        """What was looked for."""
        words = search_term.strip()
        found = self.find(queryset, words) if words else queryset
        return super().get_search_results(request, queryset, words) if found is None else (found, False)

    def row_or_404(self, request: HttpRequest, object_id: str) -> Row:
        """One row; raises Http404 for one the viewer may not see, PermissionDenied where they may see none."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            row = self.get_queryset(request).filter(pk=unquote(object_id)).first()
        except (ValidationError, ValueError):
            row = None
        if row is None:
            raise Http404
        return row

    # --- addresses ---

    def url_name(self, name: str) -> str:
        """The name of an address of this model."""
        return f"{self.model._meta.app_label}_{self.model._meta.model_name}_{name}"

    def get_urls(self) -> list[URLPattern]:
        """The list, the pages, the actions; none of Django's forms."""
        add = partial(self._url, kind="<path:object_id>/")
        return [
            self._url("", "changelist", self.changelist_view),
            *(self._url(f"{a.name}/", a.name, partial(self.action_view, action=a)) for a in self.list_actions()),
            *(add(f"{a.name}/", a.name, partial(self.action_view, action=a)) for a in self.row_actions),
            *(add(f"{name}/", name, partial(self._row_view, view=view)) for name, view in self.more_urls().items()),
            add("change/", "change", self.detail_view),
            self._url("<path:object_id>/", "row", require_safe(RedirectView.as_view(pattern_name=self._page_name))),
        ]

    @property
    def _page_name(self) -> str:
        return f"{self.admin_site.name}:{self.url_name('change')}"

    def _url(self, route: str, name: str, view: Callable[..., HttpResponseBase], *, kind: str = "") -> URLPattern:
        def wrapper(*args: Any, **kwargs: Any) -> HttpResponseBase:
            return self.admin_site.admin_view(view)(*args, **kwargs)

        wrapper.model_admin = self  # type: ignore[attr-defined] # as Django's own
        if not isinstance(view, partial):
            update_wrapper(wrapper, view)
        return path(f"{kind}{route}", wrapper, name=self.url_name(name))

    # --- views ---

    @method_decorator(require_safe)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the actions that belong to no row."""
        context = {
            **(extra_context or {}),
            "buttons": self._list_buttons(request),
            "tabs": self.tabs(request),
            "sections": self.head(request),
        }
        return super().changelist_view(request, context)

    @method_decorator(require_safe)
    def detail_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page of a row."""
        row = self.row_or_404(request, object_id)
        context = {
            "heading": self.heading(row),
            "badge": self.badge(row),
            "buttons": self.buttons(request, row),
            "sections": self.sections(request, row),
            "side": self.side(request, row),
            "foot": self.foot(request, row),
        }
        return self._render(request, self.detail_template, row, context)

    @method_decorator(require_safe)
    def _row_view(self, request: HttpRequest, object_id: str, *, view: View) -> HttpResponseBase:
        return view(request, self.row_or_404(request, object_id))

    @method_decorator(require_http_methods(["GET", "HEAD", "POST"]))
    def action_view(
        self, request: HttpRequest, *, action: Action[Any], object_id: str | None = None
    ) -> HttpResponseBase:
        """What an action would do; by POST, do it."""
        actor = actor_of(request)
        row = None if object_id is None else self.row_or_404(request, object_id)
        if not action.allowed(actor, row):
            raise PermissionDenied
        sent = (request.POST, request.FILES) if request.method == "POST" else (None, None)
        form = action.make_form(actor, row, *sent)
        if row is None:
            _prefill(form, request)
        status = 200
        if request.method == "POST":
            answer = self._perform(request, actor, action, row, form)
            if isinstance(answer, FileResponse):
                return answer
            if isinstance(answer, Answer):
                say = messages.error if answer.status >= 400 else messages.success  # noqa: PLR2004 - HTTP's errors
                say(request, answer.body["message"])
                return HttpResponseRedirect(answer.body["to"])
            status = answer
            row = None if object_id is None else self.row_or_404(request, object_id)  # it may have moved meanwhile
        context = {
            "action": action,
            "subtitle": action.label,
            "form": form,
            "question": action.question(row),
            "obstacle": action.obstacle(actor, row),
            "sections": action.sections(actor, row),
            "back": self._back(row),
        }
        return self._render(request, "console/confirm.html", row, context, status=status)

    def _perform(
        self, request: HttpRequest, actor: Actor, action: Action[Any], row: Row | None, form: ActionForm
    ) -> Answer | FileResponse | int:
        """The answer of the action, or its file; the status of its refusal, which the form then shows."""
        if not form.is_valid():
            return 400
        key = request_key(request, actor, self.url_name(action.name), form.cleaned_data)
        try:
            return action.perform(Press(actor, row, form.cleaned_data, key))
        except KeyInFlight:
            # The same form, sent twice at the same moment: the first one does it.
            return Answer(200, {"message": _("This is being done already."), "to": self._back(row)})
        except KeyReused as error:
            form.say_sent_before()  # by the way back, and something else typed
            return error.status
        except DomainError as error:
            form.show(error)
            return error.status

    def _back(self, row: Row | None) -> str:
        if row is None:
            return reverse(f"{self.admin_site.name}:{self.url_name('changelist')}")
        return reverse(self._page_name, args=[quote(str(row.pk))])

    # --- buttons ---

    def buttons(self, request: HttpRequest, row: Row) -> list[Button]:
        """The actions that the viewer holds the right to and that have sense here."""
        actor = actor_of(request)
        return [
            Button(
                action,
                reverse(f"{self.admin_site.name}:{self.url_name(action.name)}", args=[quote(str(row.pk))]),
                action.obstacle(actor, row),
            )
            for action in self.row_actions
            if action.allowed(actor, row) and action.offered(actor, row)
        ]

    def _list_buttons(self, request: HttpRequest) -> list[Button]:
        actor = actor_of(request)
        return [
            Button(
                action,
                reverse(f"{self.admin_site.name}:{self.url_name(action.name)}"),
                note=action.question(None) if action.group else "",
            )
            for action in self.list_actions()
            if action.allowed(actor, None) and action.offered(actor, None)
        ]

    def _render(
        self, request: HttpRequest, template: str, row: Row | None, context: dict[str, Any], *, status: int = 200
    ) -> TemplateResponse:
        request.current_app = self.admin_site.name
        named = self.opts.verbose_name_plural or "" if row is None else self.heading(row)
        everything = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": None if row is None else Crumb(row, named),
            "title": context.get("heading") or named,
            **context,
        }
        return TemplateResponse(request, template, everything, status=status)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[NarrowList]:  # noqa: ARG002 - Django's form
        """The list that counts no more than it must."""
        return NarrowList


def _prefill(form: ActionForm, request: HttpRequest) -> None:
    """Begin with what the address says, so that other pages can lead to a form that is filled in; typed is typed."""
    for name, field in form.fields.items():
        if name in request.GET and name != "typed" and not field.widget.is_hidden:
            several = isinstance(field, MultipleChoiceField)
            form.initial[name] = request.GET.getlist(name) if several else request.GET[name]
