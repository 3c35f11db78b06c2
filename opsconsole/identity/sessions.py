"""The session between the steps of logging in, and what a session must have to be let on.

Nobody is logged in between the steps: what the session keeps of the first is only whose password was right, for a
few minutes. A session says which second factor it was opened with, so it ends when that one is taken away.
"""

from __future__ import annotations

import time
from typing import Any, Final

from django.contrib.admin import AdminSite
from django.contrib.auth import login as log_in
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.crypto import constant_time_compare

from opsconsole.core.models import User
from opsconsole.identity import second_factor
from opsconsole.identity.models import SecondFactor

BACKEND: Final = "django.contrib.auth.backends.ModelBackend"
BETWEEN_STEPS: Final = 600  # seconds
PENDING, SECRET, CHALLENGE, PROVED = "login.pending", "login.secret", "login.challenge", "second_factor"
TOO_MANY: Final = 429


def is_complete(request: HttpRequest) -> bool:
    """Whether the session of a user who is logged in has everything that is wanted of them."""
    if not request.user.is_authenticated:
        return False
    known: bool | None = request.__dict__.get("_login_complete")
    if known is None:
        known = request.__dict__["_login_complete"] = _complete(request, request.user)
    return known


def _complete(request: HttpRequest, user: User) -> bool:
    factor = SecondFactor.objects.filter(user=user).values_list("pk", flat=True).first()
    if factor is None:
        return not second_factor.is_required_of(user)
    return constant_time_compare(request.session.get(PROVED, ""), str(factor))


def remember_password(request: HttpRequest, user: User, *, to: str) -> None:
    """Keep whose password was right, and the page they wanted."""
    request.session.cycle_key()
    request.session[PENDING] = {
        "user": str(user.pk),
        "hash": user.get_session_auth_hash(),
        "at": int(time.time()),
        "next": to,
    }


def pending(request: HttpRequest) -> User | None:
    """Whose password was right a moment ago, in this session."""
    kept = request.session.get(PENDING)
    if not kept or time.time() - kept["at"] > BETWEEN_STEPS:
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True, is_staff=True).first()
    if user is None or not constant_time_compare(kept["hash"], user.get_session_auth_hash()):
        return None
    return user


def enter(request: HttpRequest, user: User, factor: SecondFactor | None) -> None:
    """Log somebody in who has done every step, with the second factor they did it by."""
    for name in (PENDING, SECRET, CHALLENGE):
        request.session.pop(name, None)
    log_in(request, user, backend=BACKEND)
    request.__dict__.pop("_login_complete", None)
    if factor is not None:
        request.session[PROVED] = str(factor.pk)


def page(
    site: AdminSite, request: HttpRequest, template: str, title: str, *, status: int = 200, **facts: Any
) -> TemplateResponse:
    """A page of the steps."""
    context = {**site.each_context(request), "title": title, "issuer": second_factor.ISSUER, **facts}
    request.current_app = site.name
    return TemplateResponse(request, template, context, status=status)
