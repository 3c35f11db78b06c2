"""The page at which somebody who was invited chooses their password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from opsconsole.core.actors import SYSTEM
from opsconsole.core.errors import DomainError, NotFound
from opsconsole.core.models import User
from opsconsole.identity.tokens import accept_invitation, invited

IN_SESSION = "_invitation"


def address_of(user: User, secret: str) -> str:
    """The path that the person opens in a browser, behind the console's own address."""
    return reverse("invitation", args=[user.pk, secret])


class PasswordForm(forms.Form):
    """A password, twice."""

    required_css_class = "ops-required"
    new = forms.CharField(
        label=_("Password"),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        strip=False,
        max_length=1000,
    )
    again = forms.CharField(
        label=_("The same again"),
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        strip=False,
        max_length=1000,
    )

    def clean(self) -> dict[str, Any]:
        """Both must be the same."""
        data = super().clean() or {}
        if data.get("new") != data.get("again"):
            self.add_error("again", _("The two are not the same."))
        return data


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class Invitation(View):
    """An invitation: its secret leaves the address at the first look, so that it stands in no log and no referrer."""

    http_method_names = ["get", "head", "post"]  # noqa: RUF012 - as Django declares it

    def get(self, request: HttpRequest, user_id: str, secret: str) -> HttpResponse:
        """The form; an invitation that is over is not found."""
        if secret != "choose":  # noqa: S105 - the address after the first look
            self._invited(user_id, secret)
            request.session[IN_SESSION] = secret
            return HttpResponseRedirect(reverse("invitation", args=[user_id, "choose"]))
        user = self._invited(user_id, self._secret(request))
        return self._page(request, user, PasswordForm())

    def post(self, request: HttpRequest, user_id: str, secret: str) -> HttpResponse:  # noqa: ARG002 - of the address
        """Choose the password."""
        held = self._secret(request)
        user, form = self._invited(user_id, held), PasswordForm(request.POST)
        if not form.is_valid():
            return self._page(request, user, form, status=400)
        try:
            accept_invitation(
                user_id=str(user_id), secret=held, new=form.cleaned_data["new"], actor=SYSTEM("invitations")
            )
        except NotFound as error:
            raise Http404 from error
        except DomainError as error:
            for problem in error.fields.get("errors", {}).get("new", [error.told]):
                form.add_error("new", problem)
            return self._page(request, user, form, status=error.status)
        request.session.pop(IN_SESSION, None)
        messages.success(request, now_("Your password is set; log in with it."))
        return HttpResponseRedirect(reverse("admin:login"))

    def _secret(self, request: HttpRequest) -> str:
        return str(request.session.get(IN_SESSION, ""))

    def _invited(self, user_id: str, secret: str) -> User:
        try:
            return invited(str(user_id), secret)
        except NotFound as error:
            raise Http404 from error

    def _page(self, request: HttpRequest, user: User, form: PasswordForm, status: int = 200) -> HttpResponse:
        return TemplateResponse(request, "console/invitation.html", {"form": form, "person": user}, status=status)
