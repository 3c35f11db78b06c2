"""What a plan will do, as its approvers read it: figures, accounts, banks, warnings, and what cannot be undone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals.admin.content import register_content
from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Column, Facts, Figures, Notice, Section, Table, table_of
from opsconsole.plans.transitions import SUBJECT

KNOWN: Final = frozenset(
    ("count", "payees", "steps", "sums", "remainder", "fees", "accounts", "banks", "warnings", "irreversible")
)


def impact_sections(impact: dict[str, Any] | None) -> list[Section]:
    """The estimated impact of a staged plan; nothing for one that was never staged."""
    if impact is None:
        return []
    sections: list[Section] = [_figures(impact), *_warnings(impact["warnings"])]
    if impact["irreversible"]:
        sections.append(Notice(impact["irreversible"], "warn", _("What cannot be undone")))
    if impact["accounts"]:
        sections.append(_accounts(impact["accounts"]))
    if impact["banks"]:
        sections.append(_banks(impact["banks"]))
    details = {name: value for name, value in impact.items() if name not in KNOWN and value}
    if details:
        sections.append(Facts(_("More about the impact"), display.members(details)))
    return sections


def _figures(impact: dict[str, Any]) -> Figures:
    figures: list[tuple[Any, Any, str]] = [
        (_("items"), display.number(impact["count"]), ""),
        (_("in all"), display.sums(impact["sums"]), ""),
        (_("payees"), display.number(impact["payees"]), ""),
        (_("steps"), display.number(impact["steps"]), ""),
    ]
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
            Column(_("balance after"), right=True),
        ],
        [
            [
                format_html("{}<br>{}", display.code(line["account"]), line["bank"]),
                display.number(line["count"]),
                display.money(line["sum"], line["currency"]),
                display.money(line["balance_after"], line["currency"]),
            ]
            for line in accounts
        ],
    )


def _banks(banks: list[dict[str, Any]]) -> Table:
    return Table(
        _("By bank"),
        [_("bank"), Column(_("items"), right=True), Column(_("amount"), right=True)],
        [[line["bank"], display.number(line["count"]), display.sums(line["sums"])] for line in banks],
    )


def _warnings(warnings: list[dict[str, Any]]) -> list[Section]:
    sections: list[Section] = []
    for warning in warnings:
        sections.append(Notice(warning["message"], "warn", _("Warning")))
        sections += [
            table_of(display.word(name).capitalize(), value)
            for name, value in warning.items()
            if name not in ("code", "message") and isinstance(value, list)
        ]
    return sections


def content_sections(content: Mapping[str, Any]) -> list[Section]:
    """Everything that a plan's approval covers, as the request keeps it."""
    rest = {name: value for name, value in content.items() if not isinstance(value, Mapping)}
    return [
        *impact_sections(content["estimated_impact"]),
        Facts(_("What was asked for"), display.members(content["payload"])),
        Facts(_("The plan"), display.members(rest)),
        Facts(_("Who must agree, as it was then"), display.members(content["policy"])),
    ]


register_content(SUBJECT, content_sections)
