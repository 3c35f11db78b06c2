"""How a change stands on a page: its state, and the record it is about."""

from __future__ import annotations

from django.utils.safestring import SafeString

from opsconsole.changes.models import Change
from opsconsole.changes.states import ChangeState
from opsconsole.core.admin import display
from opsconsole.core.admin.display import UUID_FORM
from opsconsole.journal.admin.timeline import model_of

TONES: dict[str, str] = {
    ChangeState.REQUESTED: "warn",
    ChangeState.APPROVED: "info",
    ChangeState.APPLIED: "good",
    ChangeState.REJECTED: "bad",
    ChangeState.STALE: "bad",
    ChangeState.FAILED: "bad",
}


def state_of(change: Change) -> SafeString:
    """The state of a change; one that waits stands out."""
    return display.label(change.state.label, TONES.get(change.status, "plain"))


def subject_of(change: Change) -> SafeString | str:
    """The record by its name; a link where it has a page that the viewer may see."""
    model = model_of(change.subject_kind)
    # What is new, and a policy, is known by a name and not by the key of a row.
    keyed = UUID_FORM.fullmatch(change.subject_id) is not None
    if model is None or not keyed:
        return change.subject_name
    return display.row_link_of(model, change.subject_id, change.subject_name)
