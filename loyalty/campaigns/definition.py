"""What a campaign consists of, and whether it holds together."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from loyalty.campaigns.audience import segment_of
from loyalty.errors import CampaignInvalid, CampaignOver
from loyalty.models import Campaign
from loyalty.segments.schema import FIRST_DAY, LAST_DAY
from loyalty.states import CampaignType
from opsconsole.core.texts import Text

# What is edited while it is a draft, and what people agree to.
COLUMNS: Final = (
    "name",
    "description",
    "campaign_type",
    "target_segment",
    "bonus_points",
    "window_start",
    "window_end",
    "start_date",
    "end_date",
)
MAX_NAME: Final = 100
MAX_DESCRIPTION: Final = 2000
MOST_BONUS: Final = 1_000_000_000
MOST_PERCENT: Final = 10_000
DATES: Final = ("start_date", "end_date", "window_start", "window_end")


def facts_of(campaign: Campaign) -> dict[str, Any]:
    """The definition as the journal keeps it."""
    return {name: getattr(campaign, name) for name in COLUMNS}


def check(campaign: Campaign) -> None:
    """Raise CampaignInvalid or SegmentInvalid unless the campaign could be run as it is."""
    problems: dict[str, list[Text]] = {}
    if not 0 < len(campaign.name.strip()) <= MAX_NAME:
        problems["name"] = [format_lazy(_("takes 1 to {most} characters"), most=MAX_NAME)]
    if len(campaign.description) > MAX_DESCRIPTION:
        problems["description"] = [format_lazy(_("takes at most {most} characters"), most=MAX_DESCRIPTION)]
    if campaign.campaign_type not in CampaignType.values:
        problems["campaign_type"] = [format_lazy(_("is one of {known}"), known=", ".join(CampaignType.values))]
    if campaign.end_date is not None and campaign.end_date <= campaign.start_date:
        problems["end_date"] = [_("must be after the start")]
    multiplier = campaign.campaign_type == CampaignType.MULTIPLIER
    most = MOST_PERCENT if multiplier else MOST_BONUS
    if not 0 < campaign.bonus_points <= most:
        problems["bonus_points"] = [format_lazy(_("must be between {low} and {high}"), low=1, high=most)]
    problems |= _window_problems(campaign, multiplier=multiplier)
    problems |= _date_problems(campaign)
    if problems:
        raise CampaignInvalid(_("The campaign does not hold together."), errors=problems)
    segment_of(campaign)


def require_not_over(campaign: Campaign, now: datetime) -> None:
    """Raise CampaignOver from the campaign's end on, when nothing is awarded any more."""
    if campaign.end_date is not None and campaign.end_date <= now:
        raise CampaignOver(
            format_lazy(_("The campaign's end was at {time}."), time=f"{campaign.end_date:%Y-%m-%d %H:%M %Z}"),
            end_date=campaign.end_date,
        )


def _date_problems(campaign: Campaign) -> dict[str, list[Text]]:
    """Dates that are a slip of the pen, such as the year 9999: nobody waits for it, and no deadline lies after it."""
    told = format_lazy(_("must be between {first} and {last}"), first=FIRST_DAY.isoformat(), last=LAST_DAY.isoformat())
    given = {name: getattr(campaign, name) for name in DATES}
    return {name: [told] for name, at in given.items() if at is not None and not FIRST_DAY <= at.date() <= LAST_DAY}


def _window_problems(campaign: Campaign, *, multiplier: bool) -> dict[str, list[Text]]:
    """A multiplier counts what was earned in a window that is over when it is launched."""
    start, end = campaign.window_start, campaign.window_end
    if not multiplier:
        if start is None and end is None:
            return {}
        return {"window_start": [_("only a multiplier has a window")]}
    if start is None or end is None:
        return {"window_start": [_("a multiplier says from when to when earned points count")]}
    if end <= start:
        return {"window_end": [_("must be after its beginning")]}
    if end > campaign.start_date:
        return {
            "window_end": [_("must not be after the start of the campaign: what is earned later is not known then")]
        }
    return {}
