"""A door of the API: it knows its caller, reads the Idempotency-Key, and hands answers on."""

from __future__ import annotations

from typing import cast

from rest_framework.response import Response
from rest_framework.views import APIView

from opsconsole.core.actors import Actor
from opsconsole.core.idempotency import Answer, KeyMissing, RequestKey, fingerprint
from opsconsole.core.models import User


class ConsoleView(APIView):
    """A door of the API: it knows its caller and reads the Idempotency-Key."""

    @property
    def actor(self) -> Actor:
        """The actor that is the caller."""
        return Actor.of(cast(User, self.request.user))

    def request_key(self, *, required: bool = False) -> RequestKey | None:
        """The Idempotency-Key with its scope; raises KeyMissing where one is required."""
        key = self.request.headers.get("Idempotency-Key", "")
        if not key:
            if required or "Idempotency-Key" in self.request.headers:
                raise KeyMissing("This request needs an Idempotency-Key header.")
            return None
        match = self.request.resolver_match
        route = match.route if match else self.request.path
        return RequestKey(
            scope=f"{self.actor.id} {self.request.method} {route}",
            key=key,
            fingerprint=fingerprint(path=self.request.path, body=self.request.data),
        )

    @staticmethod
    def respond(answer: Answer) -> Response:
        """The answer as a response; a repeated one says so."""
        headers = {"Idempotency-Replayed": "true"} if answer.replayed else None
        return Response(answer.body, status=answer.status, headers=headers)
