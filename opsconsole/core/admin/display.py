"""How values look in the admin: money, times, states, links. Everything here returns text or safe HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import lazy
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from opsconsole.core.admin.phrases import KINDS, VALUES
from opsconsole.core.admin.viewing import lists, opens
from opsconsole.core.admin.words import WORDS
from opsconsole.core.states import Stateful
from opsconsole.core.texts import Text

NOTHING: Final = "–"
JUST_NOW: Final = timedelta(seconds=60)
HASH_SHOWN: Final = 12
WHOLE: Final = 12  # letters
UUID_FORM: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# How alarming a state is; the rest is plain.
TONES: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("succeeded", "settled", "approved", "active", "delivered", "sealed", "alive", "consumed", "verified"), "good"
    ),
    "completed": "good",
    **dict.fromkeys(
        ("executing", "running", "rolling_back", "sending", "sent", "queued", "dumping", "checking"), "info"
    ),
    **dict.fromkeys(("staged", "paused", "held", "partial", "rollback_partial", "returned", "due"), "warn"),
    **dict.fromkeys(("failed", "unknown", "rejected", "frozen", "dead", "silent", "broken"), "bad"),
}


def label(text: Text, tone: str = "plain") -> SafeString:
    """A coloured word: `good`, `info`, `warn`, `bad` or `plain`."""
    return format_html('<span class="ops-label ops-{}">{}</span>', tone, text)


def state_label(value: str, text: Text = "") -> SafeString:
    """A state in its colour."""
    return label(text or value.replace("_", " "), TONES.get(value, "plain"))


def state_of(row: Stateful) -> SafeString:
    """The state of a row in its colour."""
    return state_label(row.status, row.state.label)


def number(value: int) -> str:
    """A whole number with separators for thousands."""
    return number_format(value, use_l10n=True, force_grouping=True)


def signed(value: int) -> str:
    """A whole number with its sign, as what was added or taken."""
    return f"+{number(value)}" if value > 0 else number(value)


def amount(value: Decimal | str) -> str:
    """An amount with two decimals and separators for thousands; what is no number stays as it is."""
    try:
        return number_format(Decimal(value), decimal_pos=2, use_l10n=True, force_grouping=True)
    except InvalidOperation:
        return str(value)


def money(value: Decimal | str, currency: str) -> SafeString:
    """An amount of money, its currency after it."""
    return format_html('<span class="ops-money">{} <span>{}</span></span>', amount(value), currency)


def sums(by_currency: Mapping[str, Decimal | str]) -> SafeString:
    """Amounts in several currencies, a line each."""
    if not by_currency:
        return mark_safe(NOTHING)  # noqa: S308 - a constant
    return format_html_join(
        mark_safe("<br>"), "{}", ((money(value, currency),) for currency, value in sorted(by_currency.items()))
    )


def sums_as_text(by_currency: Mapping[str, Decimal | str]) -> str:
    """The same in one plain line, for a sentence."""
    return ", ".join(f"{amount(value)} {currency}" for currency, value in sorted(by_currency.items())) or "0"


def moment(at: datetime | None) -> SafeString | str:
    """A time in UTC, and how long ago or ahead that is."""
    if at is None:
        return NOTHING
    return format_html(
        '<time class="ops-time" datetime="{}" title="{} UTC"><span>{}</span> <span class="ops-subtle">{}</span></time>',
        at.isoformat(),
        at.strftime("%Y-%m-%d %H:%M:%S.%f"),
        at.strftime("%Y-%m-%d %H:%M:%S"),
        relative(at),
    )


def by_whom(name: str, at: datetime) -> SafeString:
    """Who did something, and how long ago: the time itself where the pointer rests."""
    return format_html(
        '{}<br><time class="ops-time" datetime="{}" title="{} UTC"><span class="ops-subtle">{}</span></time>',
        name,
        at.isoformat(),
        at.strftime("%Y-%m-%d %H:%M:%S"),
        relative(at),
    )


def relative(at: datetime) -> str:
    """How long ago, or how far ahead."""
    now = timezone.now()
    if abs(now - at) < JUST_NOW:
        return _("just now")
    if at < now:
        return _("%(time)s ago") % {"time": timesince(at, now, depth=1)}
    return _("in %(time)s") % {"time": timeuntil(at, now, depth=1)}


def code(text: str) -> SafeString | str:
    """An id or a key, in full."""
    return format_html('<code class="ops-code">{}</code>', text) if text else NOTHING


def prose(text: str) -> SafeString | str:
    """A sentence in a table: its column may be narrow, and long ids in it break."""
    return format_html('<span class="ops-prose">{}</span>', text) if text else NOTHING


def short(text: str) -> SafeString | str:
    """The beginning of a hash; all of it where the pointer rests."""
    if not text:
        return NOTHING
    if len(text) <= HASH_SHOWN:
        return code(text)
    return format_html('<code class="ops-code" title="{}">{}…</code>', text, text[:HASH_SHOWN])


def copyable(text: str, shown: str = "") -> SafeString | str:
    """An id or a hash with a button that copies all of it, though `shown` may be only its beginning."""
    if not text:
        return NOTHING
    return format_html(
        '<span class="ops-copied"><code class="ops-code ops-break" title="{}">{}</code>{}</span>',
        text,
        shown or text,
        copy_button(text),
    )


def copy_button(text: str) -> SafeString:
    """A button that puts this text where it can be pasted from."""
    return format_html(
        '<button type="button" class="ops-copy" data-copy="{}" data-said="{}" title="{}">'
        '<span class="material-symbols-outlined" aria-hidden="true">content_copy</span>'
        '<span class="ops-unseen">{}</span></button>',
        text,
        _("Copied."),
        _("Copy"),
        _("Copy"),
    )


def duration(stretch: timedelta) -> str:
    """How long something takes, in its two largest units."""
    now = timezone.now()
    if stretch < JUST_NOW:
        return ngettext("%(count)s second", "%(count)s seconds", int(stretch.total_seconds())) % {
            "count": int(stretch.total_seconds())
        }
    return timesince(now - stretch, now, depth=2)


def short_id(text: str) -> str:
    """A UUID by its beginning and its end; anything else as it is."""
    return f"{text[:8]}…{text[-4:]}" if UUID_FORM.fullmatch(text) else text


def yes_no(value: bool) -> str:  # noqa: FBT001 - this is what it shows
    """A flag in words."""
    return _("yes") if value else _("no")


def link(url: str, text: Any) -> SafeString:
    """A link."""
    return format_html('<a class="ops-link" href="{}">{}</a>', url, text)


def row_url(row: Model) -> str:
    """The admin's page of a row."""
    return row_url_of(type(row), row.pk)


def row_url_of(model: type[Model], pk: object) -> str:
    """The admin's page of the row with this key."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[quote(str(pk))])


def row_link(row: Model | None, text: Any = "") -> SafeString | str:
    """A link to the page of a row; the text alone where the viewer may not open it."""
    return NOTHING if row is None else row_link_of(type(row), row.pk, text or str(row))


def row_link_of(model: type[Model], pk: object, text: Any) -> SafeString | str:
    """The same for the row with this key."""
    return link(row_url_of(model, pk), text) if opens(model, pk) else conditional_escape(text)


def list_url(model: type[Model], **narrowed: str | int | UUID) -> str:
    """The admin's list of a model, narrowed by these parameters."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{url}?{urlencode({name: str(value) for name, value in narrowed.items()})}" if narrowed else url


# JSON of the database comes with its keys in no order: these stand first, in this one.
FIRST: Final = (
    *("payout", "like", "external_id", "name", "as", "beneficiary", "account", "bank", "status", "direction"),
    *("count", "sum", "amount", "currency", "balance_before", "balance_after", "reason"),
)
_PLACE: Final = {key: place for place, key in enumerate(FIRST)}
AMOUNTS: Final = frozenset(
    (
        *("amount", "sum", "balance", "balance_before", "balance_after", "control_sum", "total_amount", "beyond_sum"),
        *("fee", "fee_per_payment", "available", "keep_minimum", "moved", "total", "in_flight_sum"),
    )
)
SUMS: Final = frozenset(("sums", "fees", "remainder"))
RIGHT: Final = AMOUNTS | {"count", "attempt", "attempts", "items", "priority"}  # numbers, below one another
NAMED: Final = frozenset(
    (
        *("status", "state", "verdict", "direction", "on_failure", "redis", "run_status", "severity", "simulation"),
        "then",
    )
)  # their values have words

# Read digit by digit: never cut off, and in letters of one width.
COMPARED: Final = frozenset({"fingerprint", "public_key", "credential_id"})


_links: dict[str, tuple[type[Model], Callable[[str], str]]] = {}


def register_link(key: str, model: type[Model], url: Callable[[str], str]) -> None:
    """Let the values of JSON members of this name lead whoever may see the model on: `url` says where to."""
    _links[key] = model, url


def word(key: str) -> str:
    """The name of a JSON member, a kind of subject, or a value that has words, for people."""
    return known_word(key) or key.replace("_", " ")


def known_word(key: str) -> str:
    """The same; empty where there is none but its spelling."""
    return str(WORDS.get(key) or KINDS.get(key) or VALUES.get(key) or _words.get(key) or "")


named: Final = lazy(word, str)

_words: dict[str, Text] = {}


def register_words(words: Mapping[str, Text]) -> None:
    """Name JSON members that only one domain has."""
    _words.update(words)


_names: dict[str, Callable[[str], Text]] = {}


def register_names(key: str, name: Callable[[str], Text]) -> None:
    """Show the values of JSON members of this name as people call them."""
    _names[key] = name


def plain(value: Any) -> SafeString | str:
    """A JSON value as people read it: an object as terms with their values, a list of objects as a table."""
    match value:
        case None | "":
            return NOTHING
        case bool():
            return yes_no(value)
        case Mapping():
            return _terms(value)
        case list() | tuple():
            return _list(value)
        case _:
            return str(value)


def ordered(keys: Iterable[str]) -> list[str]:
    """The keys of an object in the order in which people read them."""
    return sorted(dict.fromkeys(keys), key=lambda key: _PLACE.get(key, len(FIRST)))


def member(key: str, value: Any) -> SafeString | str:
    """A member of a JSON object; amounts of money as such."""
    if key in SUMS and isinstance(value, Mapping):
        return sums(value)
    if key in AMOUNTS and isinstance(value, str | int) and not isinstance(value, bool):
        return amount(str(value))
    if key in NAMED and isinstance(value, str):
        return word(value) if value else NOTHING
    if key == "subject" and isinstance(value, str) and (kind := known_word(value)):  # else it is a name
        return kind
    if key in _names and isinstance(value, str) and value:
        return str(_names[key](value))
    if key in COMPARED and isinstance(value, str) and value:
        return format_html('<code class="ops-mono ops-break">{}</code>', value)
    if key in _links and isinstance(value, str) and value and lists(_links[key][0]):
        return link(_links[key][1](value), whole(value))
    return whole(value) if isinstance(value, str) and value else plain(value)


def whole(text: str) -> SafeString | str:
    """A day or a short id, which no line breaks; any other text as it is."""
    unbroken = len(text) <= WHOLE and "-" in text and " " not in text
    return format_html('<span class="ops-whole">{}</span>', text) if unbroken else text


def members(value: Mapping[str, Any]) -> list[tuple[Text, Any]]:
    """The members of a JSON object as names and values, in the order in which people read them."""
    return [(word(key), member(key, value[key])) for key in ordered(value)]


def _terms(value: Mapping[str, Any]) -> SafeString | str:
    if not value:
        return NOTHING
    rows = format_html_join("", "<dt>{}</dt><dd>{}</dd>", members(value))
    return format_html('<dl class="ops-terms">{}</dl>', rows)


def _list(value: Sequence[Any]) -> SafeString | str:
    if not value:
        return NOTHING
    if all(isinstance(item, Mapping) for item in value):
        return _grid(value)
    if any(isinstance(item, Mapping | list | tuple) for item in value):
        items = format_html_join("", "<li>{}</li>", ((plain(item),) for item in value))
        return format_html('<ul class="ops-list">{}</ul>', items)
    return ", ".join(str(plain(item)) for item in value)


def _grid(rows: Sequence[Mapping[str, Any]]) -> SafeString:
    columns = ordered(key for row in rows for key in row)
    side = {key: "ops-right" if key in RIGHT else "" for key in columns}
    head = format_html_join("", '<th scope="col" class="{}">{}</th>', ((side[key], word(key)) for key in columns))
    lines = (
        format_html_join("", '<td class="{}">{}</td>', ((side[key], member(key, row.get(key))) for key in columns))
        for row in rows
    )
    body = format_html_join("", "<tr>{}</tr>", ((line,) for line in lines))
    return format_html(
        '<div class="ops-scroll"><table class="ops-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        head,
        body,
    )
