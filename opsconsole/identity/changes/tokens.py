"""An API token that lives longer than what people make for themselves. Only its owner ever sees it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from opsconsole.changes.kinds.base import Described, Granted, Kind
from opsconsole.core import outbox
from opsconsole.core.actors import Actor
from opsconsole.core.tokens import create_token
from opsconsole.identity import holdings
from opsconsole.identity.changes.rights import in_office
from opsconsole.identity.changes.users import TABLE, person_named
from opsconsole.journal.record import record

LONGEST_DAYS: Final = 366


class TokenFields(serializers.Serializer[Any]):
    """How long it is good for."""

    days = serializers.IntegerField(label=_("days"), min_value=1, max_value=LONGEST_DAYS)


class TokenChange(Kind):
    """A token for somebody, whom it is for alone: they take it when the others have agreed."""

    name = "token"
    label = _("Give an API token")
    summary = _("An API token of up to a year. Once it is approved, the user it is for takes it, and only they see it.")
    permission = "changes.request_people_change"
    fields = TokenFields
    subject_help = _("The user's name or id.")
    example_subject = "ops"
    example = {"days": 180}  # noqa: RUF012 - read only
    collected = True

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The user's id."""
        return person_named(subject, actor)

    def lock(self, subject_id: str) -> None:
        """The user's row."""
        holdings.lock_user(subject_id)

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """A token more than now."""
        user = in_office(subject_id)
        return Described(
            subject_kind=TABLE,
            name=user.username,
            title=f"API token of {values['days']} days for {user.username}",
            before={"token_days": None, "rights_of": None},
            after={"token_days": values["days"], "rights_of": ", ".join(sorted(user.roles))},
            concerned=frozenset({str(user.pk)}),
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Make it, and hand it over."""
        user = in_office(subject_id)
        token = create_token(user, expiry=timedelta(days=values["days"]))
        after = {"username": user.username, "token": f"{token[:8]}...", "days": values["days"], **granted.trace}
        record(actor, "token.issued", user, after=after, reason=granted.reason)
        outbox.emit("token.issued", kind=TABLE, id=user.pk, data={"username": user.username, "days": values["days"]})
        return token

    def current(self, _subject_id: str) -> dict[str, Any]:
        """What is asked for most."""
        return {"days": 90}
