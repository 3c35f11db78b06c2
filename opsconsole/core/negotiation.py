"""Which form an answer has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

ANYTHING: Final = ("", "*/*")


class UsualNegotiation(DefaultContentNegotiation):
    """The framework's own, and no weighing for those who take anything or ask for the usual, which is nearly all."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The renderer and its media type; raises NotAcceptable for a form that the door does not have."""
        offered = list(renderers)
        usual, accepted = offered[0], request.META.get("HTTP_ACCEPT", "")
        plain = format_suffix is None and not request.META.get("QUERY_STRING")
        if plain and (accepted in ANYTHING or accepted == usual.media_type):
            return usual, str(usual.media_type)
        found: tuple[BaseRenderer, str] = super().select_renderer(request, offered, format_suffix)
        return found
