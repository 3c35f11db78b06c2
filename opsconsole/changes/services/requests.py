"""Asking for a change, and taking it back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.approvals import kernel
from opsconsole.changes import access, moves
from opsconsole.changes.content import content_of, digest_of
from opsconsole.changes.errors import NothingChanges
from opsconsole.changes.kinds.base import Described, Kind, fingerprint, kind_named
from opsconsole.changes.models import Change
from opsconsole.changes.states import ChangeState
from opsconsole.core.actors import Actor
from opsconsole.core.canonical import to_plain
from opsconsole.core.errors import Denied, Invalid
from opsconsole.core.fields import Secret
from opsconsole.core.operations import operation
from opsconsole.journal.record import record

MAX_REASON = 2000


@operation
def request_change(*, kind: str, subject: str, payload: Mapping[str, Any], reason: str, actor: Actor) -> Change:
    """Ask for a change of a record; others must agree before it is applied.

    Raises UnknownKind, Invalid for fields that are wrong, NothingChanges, whatever the kind objects to, and Denied or
    NotFound for an actor who may not ask for it or not see the record.
    """
    wanted = kind_named(kind)
    actor.require(wanted.permission)
    if actor.user is None:
        raise Denied(_("People ask for changes, and people agree to them."), permission=wanted.permission)
    said = reason.strip()
    if not 0 < len(said) <= MAX_REASON:
        raise Invalid(
            _("A change says why."),
            errors={"reason": [format_lazy(_("takes 1 to {most} characters"), most=MAX_REASON)]},
        )
    values = wanted.prove(wanted.read(payload), actor=actor)
    subject_id = wanted.find(subject, values, actor=actor)
    wanted.lock(subject_id)
    shown = wanted.describe(subject_id, values)
    before, after = to_plain(dict(shown.before)), to_plain(dict(shown.after))
    if before == after:
        raise NothingChanges(_("Everything is as it is asked for already."), subject=subject_id)
    terms = kernel.policy_for(wanted.action)
    change = Change(
        kind=wanted.name,
        subject_kind=shown.subject_kind,
        subject_id=subject_id,
        subject_name=shown.name,
        title=shown.title,
        before=before,
        after=after,
        warnings=list(shown.warnings),
        reason=said,
        requested_by=actor.user,
        concerned=sorted(shown.concerned),
        **_stored(values),
    )
    change.digest = digest_of(change, terms.as_json())
    change.save(force_insert=True)
    change.refresh_from_db()
    record(
        actor,
        "change.requested",
        change,
        before=before,
        after={**after, "kind": change.kind, "subject": change.subject_name, "digest": change.digest},
        reason=said,
    )
    _ask(change, shown, wanted, actor)
    moves.tell(change, "change.requested")
    return change


@operation
def cancel_change(*, change_id: UUID, reason: str, actor: Actor) -> Change:
    """Take a change back before it is applied; raises ChangeNotFound, Denied, ChangeEnded."""
    change = access.change_to_cancel(actor, change_id)
    kernel.void(moves.SUBJECT, change.pk, reason=reason, actor=actor)
    moves.move(change, ChangeState.CANCELLED, actor=actor, reason=reason)
    return change


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """The payload with its secrets as fingerprints, and the secrets apart."""
    secrets = {name: value for name, value in values.items() if isinstance(value, Secret)}
    payload = {name: fingerprint(value) if name in secrets else value for name, value in values.items()}
    sealed = json.dumps({name: value.reveal() for name, value in secrets.items()}) if secrets else ""
    return {"payload": payload, "secrets": Secret(sealed)}


def _ask(change: Change, shown: Described, kind: Kind, actor: Actor) -> None:
    terms = kernel.policy_for(kind.action)
    kernel.open_request(
        subject_kind=moves.SUBJECT,
        subject_id=change.pk,
        title=change.title,
        content=content_of(change),
        digest=change.digest,
        policy=terms,
        requested_by=change.requested_by,
        editors=shown.concerned,
        actor=actor,
    )
