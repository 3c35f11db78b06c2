"""What a plan will do, as its approvers read it: figures, accounts, banks, warnings, and what cannot be undone.

A plan type adds whatever it likes to its impact. Here that becomes facts and tables by its shape alone: a list of
objects is a table, an object of objects a table with its names in front, an object of values a list of facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.approvals.admin.content import register_content
from opsconsole.approvals.admin.inbox import register_gist
from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Column, Facts, Figures, Link, Notice, Section, Table, table_of
from opsconsole.core.texts import Text
from opsconsole.plans import warnings
from opsconsole.plans.transitions import SUBJECT
from opsconsole.plans.types import UnknownPlanType, type_named

KNOWN: Final = frozenset(
    ("count", "payees", "steps", "sums", "remainder", "fees", "accounts", "banks", "warnings", "irreversible")
)


def impact_sections(impact: dict[str, Any] | None, *, originals: bool = False) -> list[Section]:
    """The estimated impact of a staged plan; nothing for one that was never staged.

    `originals` puts beneath a translated sentence what was stored, for pages that show what an approval covers.
    """
    if impact is None:
        return []
    sections: list[Section] = [_figures(impact), *_warnings(impact["warnings"], originals=originals)]
    sections += irreversible_sections(impact, originals=originals)
    if impact["accounts"]:
        sections.append(_accounts(impact["accounts"]))
    if impact["banks"]:
        sections.append(_banks(impact["banks"]))
    return [*sections, *detail_sections({name: value for name, value in impact.items() if name not in KNOWN})]


def irreversible_sections(impact: Mapping[str, Any], *, originals: bool = False) -> list[Section]:
    """What undoing the plan cannot bring back, where there is such a thing."""
    stored = impact.get("irreversible")
    if not stored:
        return []
    told = warnings.told_irreversible(stored)
    return [Notice(told, "warn", _("What cannot be undone"), _original(told, stored) if originals else "")]


def detail_sections(details: Mapping[str, Any], title: Text = "") -> list[Section]:
    """What a plan type says besides, by its shape."""
    told = {name: value for name, value in details.items() if value not in (None, "", [], {})}
    tables: list[Section] = []
    plain: dict[str, Any] = {}
    for name in display.ordered(told):
        value = told[name]
        if section := _section_of(name, value):
            tables.append(section)
        else:
            plain[name] = value
    if plain:
        return [Facts(title or _("More about the impact"), display.members(plain)), *tables]
    return tables


def _section_of(name: str, value: Any) -> Section | None:
    """A table or facts of its own for what is too much for a line."""
    title = display.word(name).capitalize()
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        return table_of(title, value)
    if isinstance(value, Mapping) and name not in display.SUMS:
        if all(isinstance(one, Mapping) for one in value.values()):
            return table_of(title, [{"name": key, **one} for key, one in value.items()])
        return Facts(title, display.members(value))
    return None


def _figures(impact: dict[str, Any]) -> Figures:
    figures: list[tuple[Any, Any, str]] = [(_("items"), display.number(impact["count"]), "")]
    if impact["sums"]:
        figures.append((_("in all"), display.sums(impact["sums"]), ""))
    if impact["payees"]:
        figures.append((_("payees"), display.number(impact["payees"]), ""))
    figures.append((_("steps"), display.number(impact["steps"]), ""))
    if impact["fees"]:
        figures.append((_("fees"), display.sums(impact["fees"]), ""))
    if impact["remainder"]:
        figures.append((_("left of the total"), display.sums(impact["remainder"]), ""))
    return Figures(_("Impact"), figures)


def _accounts(accounts: list[dict[str, Any]]) -> Table:
    return Table(
        _("By account"),
        [
            _("account"),
            Column(_("items"), right=True),
            Column(_("amount"), right=True),
            Column(_("balance before, after"), right=True),
        ],
        [
            [
                format_html(
                    "{}<br>{}",
                    display.member("account", line["account"]),
                    display.member("bank", line["bank"]),
                ),
                display.number(line["count"]),
                display.money(line["sum"], line["currency"]),
                format_html(
                    "{}<br>{}",
                    display.money(line["balance_before"], line["currency"]),
                    display.money(line["balance_after"], line["currency"]),
                ),
            ]
            for line in accounts
        ],
    )


def _banks(banks: list[dict[str, Any]]) -> Table:
    return Table(
        _("By bank"),
        [_("bank"), Column(_("items"), right=True), Column(_("amount"), right=True)],
        [
            [display.member("bank", line["bank"]), display.number(line["count"]), display.sums(line["sums"])]
            for line in banks
        ],
    )


def _warnings(given: list[dict[str, Any]], *, originals: bool) -> list[Section]:
    sections: list[Section] = []
    for warning in given:
        told = warnings.told(warning)
        sections.append(Notice(told, "warn", _("Warning"), _original(told, warning["message"]) if originals else ""))
        rest = {name: value for name, value in warning.items() if name not in warnings.OWN}
        sections += detail_sections(rest, title=_("More about this warning"))
    return sections


def _original(told: Text, stored: str) -> str:
    """What was stored, where the viewer reads a translation of it."""
    return "" if str(told) == stored else stored


def content_sections(content: Mapping[str, Any]) -> list[Section]:
    """Everything that a plan's approval covers, as the request keeps it."""
    rest = {name: value for name, value in content.items() if not isinstance(value, Mapping)}
    if rest.get("estimated_impact", 0) is None:
        rest.pop("estimated_impact")  # undoing has none of its own
    return [
        *_undone(content),
        *impact_sections(content["estimated_impact"], originals=True),
        Facts(_("What was asked for"), display.members(content["payload"])),
        Facts(
            _("The plan"),
            [
                (_("digest of the steps") if name == "steps" else display.word(name), _told(name, rest[name]))
                for name in display.ordered(rest)
            ],
            more=Link(reverse("admin:plans_plan_content", args=[content["plan"]]), _("Every step of the plan")),
        ),
        Facts(_("Who must agree, as it was then"), display.members(content["policy"])),
    ]


def _told(name: str, value: Any) -> Any:
    """A member of what is approved; the plan's type by its name for people."""
    if name != "plan_type":
        return display.member(name, value)
    try:
        return type_named(value).label
    except UnknownPlanType:
        return value


def _undone(content: Mapping[str, Any]) -> list[Section]:
    """For a rollback: why, and how much of it, before anything else."""
    if "undoes" not in content:
        return []
    facts = [
        (_("why"), content.get("reason") or display.NOTHING),
        (_("steps undone"), display.number(content["undoes"])),
    ]
    return [Facts(_("What undoing it is about"), facts)]


def gist(content: Mapping[str, Any]) -> str:
    """How much the plan does, in a line."""
    if (undoes := content.get("undoes")) is not None:
        return ngettext("undoes %(count)s step", "undoes %(count)s steps", undoes) % {"count": display.number(undoes)}
    impact = content.get("estimated_impact") or {}
    count, sums = display.number(impact.get("count", 0)), impact.get("sums", {})
    items = ngettext("%(count)s item", "%(count)s items", impact.get("count", 0)) % {"count": count}
    return f"{items}, {display.sums_as_text(sums)}" if sums else items


register_content(SUBJECT, content_sections)
register_gist(SUBJECT, gist)
