"""Search over everything by what people have at hand: an id, its beginning, a name, an IBAN. Each by an index.

What is found is what the viewer's own lists would show: every kind of thing is looked for through its admin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.apps import apps
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from opsconsole.console.navigation import sidebar
from opsconsole.core.admin import display
from opsconsole.core.admin.base import actor_of
from opsconsole.core.errors import Denied
from opsconsole.core.texts import Text
from opsconsole.runbooks.access import visible_runbooks
from opsconsole.runbooks.admin.pages import runbook_url

MOST_OF_A_KIND: Final = 6
SHORTEST: Final = 2
LONGEST: Final = 200
UUID_DIGITS: Final = 32
NEWEST: Final = 20_000
ID_BEGINS: Final = 8  # hexadecimal digits from which a beginning of an id is looked for
BIGGEST_SEQ: Final = 2**63

Narrow = Callable[[QuerySet[Any], str], QuerySet[Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """One result, as unfold's palette shows it."""

    title: str
    description: str
    link: str
    icon: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing that can be found: its model, its icon, and how words narrow its rows."""

    label: str
    icon: str
    narrow: Narrow
    about: Callable[[Any], Text]


def by_id(words: str) -> Q:
    """Rows with this id, or with one that begins so; none for words that are no id."""
    digits = words.replace("-", "").lower()
    if not ID_BEGINS <= len(digits) <= UUID_DIGITS or any(digit not in "0123456789abcdef" for digit in digits):
        return Q(pk__in=[])
    return Q(pk__gte=UUID(digits.ljust(UUID_DIGITS, "0")), pk__lte=UUID(digits.ljust(UUID_DIGITS, "f")))


def _ids(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    return rows.filter(by_id(words))


def _plans(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    begins = rows.filter(by_id(words) | Q(external_id__startswith=words))
    if begins.exists():
        return begins
    # A part of a name is found by no index: the newest are read through, older ones by their ids or in the list.
    newest = rows.order_by("-created_at", "-id").values("pk")[:NEWEST]
    return rows.filter(pk__in=newest, name__icontains=words)


def _steps(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    return rows.filter(by_id(words) | Q(key=words))


def _payouts(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    iban = words.replace(" ", "").upper()
    named = Q(external_id__startswith=words) | Q(beneficiary_name__startswith=words) | Q(iban=iban)
    return rows.filter(by_id(words) | named)


def _accounts(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    iban = words.replace(" ", "").upper()
    return rows.filter(by_id(words) | Q(iban__startswith=iban) | Q(name__icontains=words))


def _banks(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    return rows.filter(Q(code__icontains=words) | Q(name__icontains=words) | Q(bic=words.upper()))


def _instructions(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    return rows.filter(by_id(words) | Q(end_to_end_id=words))


def _users(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    named = Q(username__icontains=words) | Q(first_name__icontains=words) | Q(last_name__icontains=words)
    return rows.filter(by_id(words) | named | Q(email__iexact=words))


def _entries(rows: QuerySet[Any], words: str) -> QuerySet[Any]:
    number = Q(seq=int(words)) if words.isdecimal() and int(words) < BIGGEST_SEQ else Q(pk__in=[])
    return rows.filter(by_id(words) | number)


KINDS: Final = (
    Kind("plans.Plan", "assignment", _plans, lambda plan: f"{plan.external_id}, {plan.state.label}"),
    Kind("plans.Run", "directions_run", _ids, lambda run: run.state.label),
    Kind("plans.Step", "footprint", _steps, lambda step: step.state.label),
    Kind("approvals.Request", "how_to_vote", _ids, lambda request: request.state.label),
    Kind("treasury.Payout", "payments", _payouts, lambda payout: f"{payout.beneficiary_name}, {payout.state.label}"),
    Kind("treasury.Instruction", "send_money", _instructions, lambda one: one.state.label),
    Kind("treasury.Account", "account_balance_wallet", _accounts, lambda account: account.iban or ""),
    Kind("treasury.Bank", "account_balance", _banks, lambda bank: f"{bank.code}, {bank.state.label}"),
    Kind("core.User", "person", _users, lambda user: user.get_full_name()),
    Kind("journal.Entry", "history", _entries, lambda entry: f"#{entry.seq}"),
)


def search(request: HttpRequest, words: str) -> list[Found]:
    """What the words find of everything the viewer may see; pages of the menu first."""
    words = words.strip().replace("\x00", "")[:LONGEST]
    if len(words) < SHORTEST and not words.isdecimal():
        return []
    found = [*_pages(request, words), *_runbooks(request, words)]
    for kind in KINDS:
        found += _rows(request, kind, words)
    return found


def _pages(request: HttpRequest, words: str) -> Iterator[Found]:
    for group in sidebar(request):
        for item in group["items"]:
            if str(item["title"]).lower().startswith(words.lower()):
                yield Found(str(item["title"]), str(_("page")), item["link"], item["icon"])


def _runbooks(request: HttpRequest, words: str) -> Iterator[Found]:
    """Those in whose title or alerts the words stand: somebody has an alert in their hand."""
    try:
        books = visible_runbooks(actor_of(request))
    except Denied:
        return
    language = get_language()
    for book in books:
        title = book.in_language(language).title
        if any(words.casefold() in said.casefold() for said in (title, *book.alerts)):
            yield Found(
                title, f"{_('runbook')}: {', '.join(book.alerts)}".rstrip(": "), runbook_url(book.id), "menu_book"
            )


def _rows(request: HttpRequest, kind: Kind, words: str) -> list[Found]:
    model: type[Model] = apps.get_model(kind.label)
    shown = admin.site._registry.get(model)
    if shown is None or not shown.has_view_permission(request):
        return []
    rows = kind.narrow(shown.get_queryset(request), words).order_by("-pk")[:MOST_OF_A_KIND]
    return [Found(str(row), _description(model, kind.about(row)), display.row_url(row), kind.icon) for row in rows]


def _description(model: type[Model], about: Text) -> str:
    name = str(model._meta.verbose_name)
    return f"{name}: {about}" if about else name
