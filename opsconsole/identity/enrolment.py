"""Setting up a second factor, at a first login or later, and one's own page about it."""

from __future__ import annotations

from typing import Any, Final, cast

import segno
from cryptography.fernet import InvalidToken
from django import forms
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from opsconsole.approvals import signed
from opsconsole.core.actors import Actor
from opsconsole.core.fields import cipher
from opsconsole.core.models import User
from opsconsole.identity import second_factor
from opsconsole.identity.attempts import address_of
from opsconsole.identity.errors import TooManyAttempts
from opsconsole.identity.sessions import (
    PENDING,
    PROVED,
    SECRET,
    TOO_MANY,
    enter,
    is_complete,
    page,
    pending,
)

SECRET_LIVES: Final = 3600  # seconds that a secret waits to be set up


# --- enrolment ------------------------------------------------------------------------------------------------------


class EnrolForm(forms.Form):
    """The first code of the new authenticator, and one that counts now from those who have a second factor."""

    required_css_class = "ops-required"
    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=10,
        help_text=gettext_lazy("The six digits that the app shows now."),
        widget=forms.TextInput({"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )
    current = forms.CharField(
        label=gettext_lazy("Code of your present second factor"),
        max_length=40,
        help_text=gettext_lazy("From the app that is replaced, or a recovery code."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, replaces: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not replaces:
            del self.fields["current"]


def enrol_step(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Setting up an authenticator: as part of a first login, or by somebody who is logged in."""
    inside = is_complete(request)
    user = cast(User, request.user) if inside else pending(request)
    if user is None:
        return HttpResponseRedirect(reverse("admin:login"))
    old = second_factor.factor_of(user)
    if old is not None and not inside:
        return HttpResponseRedirect(reverse("admin:login_code"))
    secret = _secret_in(request)
    form = EnrolForm(request.POST if request.method == "POST" else None, replaces=old is not None)
    status = 200
    if request.method == "POST":
        answer = _enrol(request, user, secret, form)
        if isinstance(answer, list):
            to = reverse("admin:second_factor") if inside else request.session[PENDING]["next"]
            factor = second_factor.factor_of(user)
            del request.session[SECRET]
            if inside and factor is not None:
                request.session[PROVED] = str(factor.pk)
            else:
                enter(request, user, factor)
            return _codes_page(site, request, answer, to)
        status = answer
    facts = {
        "person": user,
        "replaces": old is not None,
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "qr": qr_code(second_factor.otpauth_address(secret, user)),
        "required": old is None and second_factor.is_required_of(user),
        "inside": inside,
    }
    return page(
        site, request, "console/login/enrol.html", _("Set up a second factor"), status=status, form=form, **facts
    )


def _enrol(request: HttpRequest, user: User, secret: str, form: EnrolForm) -> list[str] | int:
    if not form.is_valid():
        return 400
    said = form.cleaned_data
    try:
        codes = second_factor.enrol(
            secret=secret,
            code=said["code"],
            current=said.get("current", ""),
            address=address_of(request),
            actor=Actor.of(user),
        )
    except TooManyAttempts as refusal:
        form.add_error(None, refusal.told)
        return TOO_MANY
    if codes is None:
        form.add_error("code", _("That does not count. Is the clock of your device right?"))
        return 400
    return codes


def qr_code(text: str) -> SafeString:
    """The text as an SVG to be scanned, made here: the secret goes to no other server."""
    code = segno.make(text, error="m", micro=False)
    return mark_safe(code.svg_inline(border=3, dark="#000", light="#fff", omitsize=True))  # noqa: S308 - made of squares


# --- one's own page -------------------------------------------------------------------------------------------------


class RenewForm(forms.Form):
    """A code, to make new recovery codes."""

    required_css_class = "ops-required"
    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=40,
        help_text=gettext_lazy("Six digits from your authenticator app, or one of your recovery codes."),
        widget=forms.TextInput({"autocomplete": "one-time-code", "spellcheck": "false"}),
    )


def own_page(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """How the viewer proves who they are, and new recovery codes for them."""
    user = cast(User, request.user)
    factor = second_factor.factor_of(user)
    form = RenewForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST" and factor is not None:
        answer = _renew(request, user, form)
        if isinstance(answer, list):
            return _codes_page(site, request, answer, reverse("admin:second_factor"))
        status = answer
    return page(
        site,
        request,
        "console/login/own.html",
        _("Second factor"),
        status=status,
        form=form,
        factor=factor,
        codes_left=second_factor.codes_left(factor) if factor else 0,
        passkeys=signed.passkeys_of(user),
        required=second_factor.is_required_of(user),
    )


def _renew(request: HttpRequest, user: User, form: RenewForm) -> list[str] | int:
    if not form.is_valid():
        return 400
    try:
        codes = second_factor.renew_codes(
            code=form.cleaned_data["code"], address=address_of(request), actor=Actor.of(user)
        )
    except TooManyAttempts as refusal:
        form.add_error(None, refusal.told)
        return TOO_MANY
    if codes is None:
        form.add_error("code", _("That does not count: wrong, or used."))
        return 400
    return codes


def _secret_in(request: HttpRequest) -> str:
    """The secret that is being set up; the session's row holds it encrypted."""
    kept = request.session.get(SECRET)
    if kept:
        try:
            return cipher().decrypt(kept.encode(), ttl=SECRET_LIVES).decode()
        except InvalidToken:
            pass  # it was begun long ago, or under a key that is gone: begin anew
    secret = second_factor.new_secret()
    request.session[SECRET] = cipher().encrypt(secret.encode()).decode()
    return secret


def _codes_page(site: AdminSite, request: HttpRequest, codes: list[str], to: str) -> HttpResponse:
    return page(site, request, "console/login/codes.html", _("Recovery codes"), codes=codes, to=to)
