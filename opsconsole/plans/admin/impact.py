"""What a plan will do, as its approvers read it: figures, accounts, banks, warnings, and what cannot be undone."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Column, Facts, Figures, Notice, Section, Table
from opsconsole.plans.models import Plan

KNOWN: Final = frozenset(
    ("count", "payees", "steps", "sums", "remainder", "fees", "accounts", "banks", "warnings", "irreversible")
)


def impact_sections(plan: Plan) -> list[Section]:
    """The estimated impact of a staged plan; nothing for one that was never staged."""
    impact: dict[str, Any] | None = plan.estimated_impact
    if impact is None:
        return []
    sections: list[Section] = [_figures(impact), *_warnings(impact["warnings"])]
    if impact["irreversible"]:
        sections.append(Notice(impact["irreversible"], "warn", _("What cannot be undone")))
    if impact["accounts"]:
        sections.append(_accounts(impact["accounts"]))
    if impact["banks"]:
        sections.append(_banks(impact["banks"]))
    details = [(display.word(name), display.plain(impact[name])) for name in impact if name not in KNOWN and impact[name]]
    if details:
        sections.append(Facts(_("More about the impact"), details))
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
            _("bank"),
            Column(_("items"), right=True),
            Column(_("amount"), right=True),
            Column(_("balance before"), right=True),
            Column(_("balance after"), right=True),
        ],
        [
            [
                display.code(line["account"]),
                line["bank"],
                display.number(line["count"]),
                display.money(line["sum"], line["currency"]),
                display.money(line["balance_before"], line["currency"]),
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
        rest = {name: value for name, value in warning.items() if name not in ("code", "message")}
        if rest:
            sections.append(Facts("", [(display.word(name), display.plain(value)) for name, value in rest.items()]))
    return sections
