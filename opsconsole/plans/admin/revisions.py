"""What a plan's approvals cover, in full, and how that differs from what was staged the last time."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from opsconsole.approvals.models import Request
from opsconsole.core.admin import display
from opsconsole.core.admin.pages import Link, Notice, Section, Table
from opsconsole.core.texts import Text
from opsconsole.journal.selectors import entries_of
from opsconsole.plans import warnings
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.states import Direction
from opsconsole.plans.transitions import SUBJECT

MOST_LINES: Final = 200
MOST_STEPS: Final = 100  # that are listed of each: added, removed, changed
AMOUNT: Final = re.compile(r"-?[0-9]+\.[0-9]{2,}")
COMPARED: Final = 2_000  # steps that differ and are looked at one by one

# What a thing in a list is known by; it names the line in a comparison.
KNOWN_BY: Final = ("payout", "account", "route", "bank", "corridor", "currency", "external_id", "id", "name", "code")
NO_FACTS: Final = frozenset(("plan", "steps", "estimated_impact", "payload", "policy"))


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is another one now; None where it was not there."""

    name: str
    was: Any
    now: Any


@dataclass(slots=True)
class StepChanges:
    """Which steps came, went or changed; `more` says that not all of them were looked at one by one."""

    added: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    removed: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    changed: list[tuple[int, dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    more: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def in_words(self) -> str:
        """How many, in a line."""
        at_least = now_("at least ") if self.more else ""
        counts = [
            ngettext("%(count)s step added", "%(count)s steps added", len(self.added)) % {"count": len(self.added)},
            ngettext("%(count)s removed", "%(count)s removed", len(self.removed)) % {"count": len(self.removed)},
            ngettext("%(count)s changed", "%(count)s changed", len(self.changed)) % {"count": len(self.changed)},
        ]
        return at_least + ", ".join(counts)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The plan as it is staged now against how it was staged before."""

    before: int  # the number of the revision before
    facts: list[Change]
    impact: list[Change]
    steps: StepChanges

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.facts or self.impact or self.steps)


def comparison(plan: Plan) -> Comparison | None:
    """The staged content against that of the revision staged before it; None where there is none to compare."""
    if plan.revision == 1 or plan.estimated_impact is None:
        return None
    digests: dict[int, str] = {}
    for entry in entries_of(plan).filter(verb="plan.staged"):
        after = entry.content["after"] or {}
        digests.setdefault(after["revision"], after["digest"])
    if plan.revision not in digests:
        return None  # a draft again: there is nothing staged to compare
    before = max((number for number in digests if number < plan.revision), default=None)
    if before is None:
        return None
    was, now = _content(plan, digests[before]), _content(plan, digests[plan.revision])
    if was is None or now is None:
        return None
    return Comparison(
        before,
        list(_facts(was, now)),
        list(_changes(warnings.as_read(was["estimated_impact"]), warnings.as_read(now["estimated_impact"]))),
        step_changes(plan, before, plan.revision),
    )


def _content(plan: Plan, digest: str) -> dict[str, Any] | None:
    requests = Request.objects.filter(subject_kind=SUBJECT, subject_id=str(plan.pk), digest=digest)
    request = requests.only("content").order_by("-created_at").first()
    return None if request is None else request.content


def _facts(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    plain = ({name: value for name, value in content.items() if name not in NO_FACTS} for content in (was, now))
    yield from _changes(*plain)
    yield from _changes(was["payload"], now["payload"])
    yield from _changes(was["policy"], now["policy"])


def _changes(was: Any, now: Any) -> Iterator[Change]:
    old, new = dict(_leaves(was)), dict(_leaves(now))
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield Change(name, old.get(name), new.get(name))


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every value in it, under a name that tells where it stands."""
    if isinstance(value, Mapping):
        for key in display.ordered(value):
            yield from _leaves(value[key], (*path, display.word(key)))
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for number, one in enumerate(value, start=1):
            known = next((str(one[name]) for name in KNOWN_BY if isinstance(one, Mapping) and name in one), str(number))
            yield from _leaves(one, (*path, known))
    else:
        yield " · ".join(path), ", ".join(map(str, value)) if isinstance(value, list) else value


def step_changes(plan: Plan, before: int, after: int) -> StepChanges:
    """The steps of two revisions, compared by content wherever they stand."""
    gone, more_gone = _only_in(plan, before, after)
    come, more_come = _only_in(plan, after, before)
    waiting: defaultdict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for seq, payload in gone:
        waiting[_identity(payload)].append((seq, payload))
    changes = StepChanges(more=more_gone or more_come)
    for seq, payload in come:
        if was := waiting[_identity(payload)]:
            changes.changed.append((seq, was.pop(0)[1], payload))
        else:
            changes.added.append((seq, payload))
    changes.removed = sorted((step for left in waiting.values() for step in left), key=lambda step: step[0])
    return changes


def _only_in(plan: Plan, one: int, other: int) -> tuple[list[tuple[int, dict[str, Any]]], bool]:
    """Steps of one revision that the other has not, at most COMPARED; and whether there are more."""
    with connection.cursor() as cursor:
        cursor.execute(
            # By a hash, and `not in`: that is one pass over each, where joining by the content itself is a pass over
            # the one for every step of the other.
            """
            with this as (
                select seq, payload, md5(kind || payload::text || coalesce(compensation::text, '')) as hash
                from ops_plan_steps where plan_id = %(plan)s and revision = %(one)s and direction = 'execute'
            ), that as (
                select md5(kind || payload::text || coalesce(compensation::text, '')) as hash
                from ops_plan_steps where plan_id = %(plan)s and revision = %(other)s and direction = 'execute'
            )
            select seq, payload::text from this where hash not in (select hash from that)
            order by seq limit %(most)s
            """,
            {"plan": plan.pk, "one": one, "other": other, "most": COMPARED + 1},
        )
        found = [(seq, json.loads(payload)) for seq, payload in cursor.fetchall()]
    return found[:COMPARED], len(found) > COMPARED


def _identity(payload: Mapping[str, Any]) -> str:
    known = [f"{name}={payload[name]}" for name in KNOWN_BY if name in payload]
    return known[0] if known else json.dumps(payload, sort_keys=True)


# --- as sections ---


def comparison_sections(found: Comparison, more: Link | None = None) -> list[Section]:
    """What differs from the revision before; with `more`, only what fits on the plan's own page."""
    title = now_("Changed since revision %(number)s") % {"number": found.before}
    if found.same:
        return [Notice(now_("Exactly the same as revision %(number)s.") % {"number": found.before}, "info")]
    lines = [*_lines(found.facts), *_lines(found.impact)]
    note = found.steps.in_words() if found.steps else now_("No step has changed.")
    table = Table(
        title,
        [_("what"), _("before"), _("now")],
        lines[: 12 if more else MOST_LINES],
        note=capfirst(note),
        empty=_("Only steps have changed."),
        more=more,
    )
    return [table] if more else [table, *_step_sections(found.steps)]


def _lines(changes: Iterable[Change]) -> list[list[Any]]:
    return [[capfirst(change.name), was_text(change.was), now_text(change.now)] for change in changes]


def was_text(value: Any) -> SafeString | str:
    """A value that stands no more."""
    return display.NOTHING if value in (None, "") else format_html('<del class="ops-was">{}</del>', _leaf(value))


def now_text(value: Any) -> SafeString | str:
    """A value that stands now."""
    return display.NOTHING if value in (None, "") else format_html('<ins class="ops-is">{}</ins>', _leaf(value))


def _leaf(value: Any) -> SafeString | str:
    return display.amount(value) if isinstance(value, str) and AMOUNT.fullmatch(value) else display.plain(value)


def _step_sections(changes: StepChanges) -> list[Section]:
    sections: list[Section] = []
    for title, steps in ((_("Steps added"), changes.added), (_("Steps removed"), changes.removed)):
        if steps:
            sections.append(_listed(title, steps))
    if changes.changed:
        lines = [
            [display.number(seq), known_as(now), change.name, was_text(change.was), now_text(change.now)]
            for seq, was, now in changes.changed[:MOST_STEPS]
            for change in _changes(was, now)
        ]
        sections.append(
            Table(
                _("Steps changed"),
                ["#", _("what"), _("field"), _("before"), _("now")],
                lines,
                note=_shown(len(changes.changed)),
                empty=_("Only how they would be undone."),
            )
        )
    return sections


def _listed(title: Text, steps: Sequence[tuple[int, dict[str, Any]]]) -> Table:
    return Table(
        title,
        ["#", _("what"), _("content")],
        [[display.number(seq), known_as(payload), display.plain(payload)] for seq, payload in steps[:MOST_STEPS]],
        note=_shown(len(steps)),
    )


def _shown(count: int) -> str:
    if count <= MOST_STEPS:
        return ""
    return now_("The first %(shown)s of %(count)s.") % {"shown": MOST_STEPS, "count": display.number(count)}


def known_as(payload: Mapping[str, Any]) -> str:
    """What a step is about, by the name it is known by."""
    return next((str(payload[name]) for name in KNOWN_BY if name in payload), display.NOTHING)


def steps_from(plan: Plan, seq: int, count: int) -> list[Step]:
    """The staged steps from this number on, one more than `count` where there are more."""
    steps = Step.objects.filter(plan=plan, revision=plan.revision, direction=Direction.EXECUTE, seq__gte=seq)
    return list(steps.order_by("seq")[: count + 1])
