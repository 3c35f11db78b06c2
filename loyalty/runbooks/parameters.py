"""What the runbooks of loyalty are about: a program, a campaign, a member, a purchase."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.utils.translation import gettext_lazy as _

from loyalty import access
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.texts import Text
from opsconsole.runbooks.parameters import MOST_OPTIONS, Parameter, ParameterKind


def _programs(actor: Actor) -> Iterable[tuple[str, Text]]:
    try:
        programs = access.visible_programs(actor).order_by("name")[:MOST_OPTIONS]
    except Denied:
        return []
    return [(str(program.pk), f"{program.name}, {program.state.label}") for program in programs]


def _campaigns(actor: Actor) -> Iterable[tuple[str, Text]]:
    try:
        campaigns = access.visible_campaigns(actor).order_by("-created_at")[:MOST_OPTIONS]
    except Denied:
        return []
    return [(str(campaign.pk), f"{campaign.name}, {campaign.state.label}") for campaign in campaigns]


PROGRAM: Final = Parameter("program_id", _("program"), ParameterKind.UUID, options=_programs)
CAMPAIGN: Final = Parameter("campaign_id", _("campaign"), ParameterKind.UUID, options=_campaigns)
MEMBER: Final = Parameter(
    "user_id", _("member"), ParameterKind.TEXT, help=_("The user id, as the application knows it.")
)
PURCHASE: Final = Parameter(
    "origin_txn_id", _("purchase"), ParameterKind.TEXT, help=_("The transaction id at its origin.")
)
HAPPENED: Final = Parameter("happened_at", _("when it happened"), ParameterKind.MOMENT)
DAYS: Final = Parameter("days", _("days back"), ParameterKind.INT, default="7", least=1, most=366)
HOURS: Final = Parameter("hours", _("hours back"), ParameterKind.INT, default="24", least=1, most=24 * 31)
