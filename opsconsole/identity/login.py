"""Logging in to the admin: the password, then a code where there is a second factor or one is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, generate_challenge

from opsconsole.approvals import passkeys, signed
from opsconsole.approvals.admin.passkeys import PasskeyField, ask_for
from opsconsole.approvals.errors import SignatureInvalid
from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.identity import second_factor
from opsconsole.identity.attempts import LOGIN, address_of, password_was_right, try_password
from opsconsole.identity.errors import TooManyAttempts
from opsconsole.identity.models import SecondFactor
from opsconsole.identity.sessions import (
    CHALLENGE,
    PENDING,
    TOO_MANY,
    enter,
    page,
    pending,
    remember_password,
)

if TYPE_CHECKING:
    from django.contrib.auth.forms import AuthenticationForm
else:
    from unfold.forms import AuthenticationForm

FEW_CODES: Final = 3


# --- the password ---------------------------------------------------------------------------------------------------


class PasswordForm(AuthenticationForm):
    """Name and password; too many tries are not looked at."""

    throttled = False

    def clean(self) -> dict[str, Any]:
        """What was said, if it is to be looked at."""
        request, name = self.request, self.cleaned_data.get("username")
        if request is not None and name and self.cleaned_data.get("password"):
            try:
                try_password(username=name, address=address_of(request), actor=LOGIN)
            except TooManyAttempts as refusal:
                self.throttled = True
                raise forms.ValidationError(refusal.told, code=refusal.code) from refusal
        return super().clean()


class PasswordStep(LoginView):
    """The first step; it lets in at once only those who have no second factor and need none."""

    form_class = PasswordForm
    template_name = "console/login/password.html"
    next_page = "admin:index"

    def form_valid(self, form: AuthenticationForm) -> HttpResponseRedirect:
        """Let in, or on to the second step."""
        user = form.get_user()
        password_was_right(username=user.username, address=address_of(self.request), actor=LOGIN)
        factor = second_factor.factor_of(user)
        if factor is None and not second_factor.is_required_of(user):
            enter(self.request, user, None)
            return HttpResponseRedirect(self.get_success_url())
        remember_password(self.request, user, to=self.get_success_url())
        return HttpResponseRedirect(reverse("admin:login_code" if factor else "admin:login_enrol"))

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """The form again."""
        answer = super().form_invalid(form)
        if isinstance(form, PasswordForm) and form.throttled:
            answer.status_code = TOO_MANY
        return answer


# --- the code -------------------------------------------------------------------------------------------------------


class CodeForm(forms.Form):
    """A code, or a passkey for those who have one."""

    required_css_class = "ops-required"
    use_required_attribute = False  # the browser would ask for a code before it asks for the passkey
    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=40,
        help_text=gettext_lazy("Six digits from your authenticator app, or one of your recovery codes."),
        widget=forms.TextInput({"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
    )
    passkey = PasskeyField(gettext_lazy("Use a passkey"), required=False, label=gettext_lazy("Passkey"))

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.fields["code"].required = not (data and data.get("passkey"))

    def offer_passkeys(self, user: User, challenge: bytes) -> None:
        """Show the button to those who have one."""
        options = ask_for(signed.passkeys_of(user), challenge)
        if options is None:
            del self.fields["passkey"]
        else:
            self.fields["passkey"].widget.options = options


def code_step(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """The second step, for those who have a second factor."""
    user = pending(request)
    if user is None:
        return HttpResponseRedirect(reverse("admin:login"))
    factor = second_factor.factor_of(user)
    if factor is None:
        return HttpResponseRedirect(reverse("admin:login_enrol"))
    asked = base64url_to_bytes(request.session.pop(CHALLENGE, ""))
    challenge = generate_challenge()
    request.session[CHALLENGE] = bytes_to_base64url(challenge)
    form = CodeForm(request.POST if request.method == "POST" else None)
    form.offer_passkeys(user, challenge)
    status = 200
    if request.method == "POST":
        status = _check_code(request, user, form, asked)
        if status == 200:  # noqa: PLR2004 - HTTP's
            to = request.session[PENDING]["next"]
            enter(request, user, factor)
            _mind_codes(request, factor)
            return HttpResponseRedirect(to)
    return page(site, request, "console/login/code.html", _("Second step"), status=status, form=form, person=user)


def _check_code(request: HttpRequest, user: User, form: CodeForm, asked: bytes) -> int:
    if not form.is_valid():
        return 400
    actor, address = Actor.of(user), address_of(request)
    try:
        if answer := form.cleaned_data.get("passkey"):
            assertion = passkeys.Assertion.parse(answer)
            right = second_factor.verify_passkey(assertion=assertion, challenge=asked, address=address, actor=actor)
        else:
            right = second_factor.verify(code=form.cleaned_data["code"], address=address, actor=actor)
    except TooManyAttempts as refusal:
        form.add_error(None, refusal.told)
        return TOO_MANY
    except SignatureInvalid as refusal:
        form.add_error(None, refusal.told)
        return refusal.status
    if not right:
        form.add_error("code" if form.cleaned_data.get("code") else None, _("That does not count: wrong, or used."))
        return 400
    return 200


def _mind_codes(request: HttpRequest, factor: SecondFactor) -> None:
    left = second_factor.codes_left(factor)
    if left <= FEW_CODES:
        text = ngettext(
            "You have %(count)s recovery code left. Make new ones.",
            "You have %(count)s recovery codes left. Make new ones.",
            left,
        )
        messages.warning(request, text % {"count": left})
