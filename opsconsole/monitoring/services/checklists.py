"""The daily checklist: what the system finds is noted when it changes; what it cannot see a person ticks."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.journal.record import record
from opsconsole.monitoring.checklist import Finding, item_named, today
from opsconsole.monitoring.errors import ItemNotFound, NotForPeople, ReasonMissing
from opsconsole.monitoring.models import Check
from opsconsole.monitoring.states import Verdict

MAX_NOTE = 2_000


@operation
def note_finding(*, item: str, finding: Finding, actor: Actor) -> bool:
    """Note today's finding of an item that the system evaluates; whether its verdict is another than before."""
    actor.require("monitoring.tick_check")
    day = today()
    check, made = Check.objects.select_for_update(no_key=True).get_or_create(
        day=day, item=item, defaults={"verdict": finding.verdict.value, "detail": _detail(finding)}
    )
    was = None if made else check.verdict
    if not made and (check.verdict, check.detail) == (finding.verdict.value, _detail(finding)):
        return False
    check.verdict, check.detail, check.at = finding.verdict.value, _detail(finding), Now()
    check.save(update_fields=["verdict", "detail", "at"])
    if was != finding.verdict.value:
        record(
            actor,
            "check.evaluated",
            check,
            before={"verdict": was},
            after={"day": day, "item": item, "verdict": finding.verdict.value, **finding.figures},
        )
    return was != finding.verdict.value


@operation
def tick_item(*, item: str, in_order: bool, note: str, actor: Actor) -> Check:
    """Say of an item that only people can judge what it came to today; raises NotForPeople for the others."""
    actor.require("monitoring.tick_check")
    found = item_named(item)
    if found is None:
        raise ItemNotFound(format_lazy(_("The checklist has no item {item}."), item=item), item=item)
    if found.evaluate is not None:
        raise NotForPeople(format_lazy(_("The system evaluates {item} itself."), item=item), item=item)
    said = note.strip()
    if not said or len(said) > MAX_NOTE:
        raise ReasonMissing(
            format_lazy(_("The note must have 1 to {most} characters."), most=MAX_NOTE),
            errors={"note": [format_lazy(_("must have 1 to {most} characters"), most=MAX_NOTE)]},
        )
    verdict = Verdict.GOOD if in_order else Verdict.BAD
    check, made = Check.objects.select_for_update(no_key=True).get_or_create(
        day=today(), item=item, defaults={"verdict": verdict.value, "note": said, "ticked_by": actor.user}
    )
    before = None if made else {"verdict": check.verdict, "note": check.note}
    check.verdict, check.note, check.ticked_by, check.at = verdict.value, said, actor.user, Now()
    check.save(update_fields=["verdict", "note", "ticked_by", "at"])
    record(
        actor,
        "check.ticked",
        check,
        before=before,
        after={"day": check.day, "item": item, "verdict": check.verdict},
        reason=said,
    )
    check.refresh_from_db()
    return check


def _detail(finding: Finding) -> dict[str, Any]:
    return {"figures": finding.figures, "rows": finding.rows}
