"""Which language an answer has: the viewer's on pages, always English at the API."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from opsconsole.core.browsers import API


class LanguageMiddleware(LocaleMiddleware):
    """Pages by the language switch or the browser; the API in one language, whatever a client sends along.

    Programs compare and search what the API says, and a message made half of a library's French and half of our
    English would help nobody.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Activate the language for the rest of the request."""
        if not request.path_info.startswith(API):
            super().process_request(request)
            return
        translation.activate(settings.LANGUAGE_CODE)
        request.LANGUAGE_CODE = settings.LANGUAGE_CODE
