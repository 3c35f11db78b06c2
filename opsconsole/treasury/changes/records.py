"""The records that treasury's changes are about, by whatever people call them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.changes.errors import SubjectNotFound
from opsconsole.core.actors import Actor
from opsconsole.core.errors import NotFound
from opsconsole.treasury import access
from opsconsole.treasury.models import Bank


def bank_named(subject: str, actor: Actor) -> Bank:
    """The bank of this code or id; raises SubjectNotFound for one that the actor may not see."""
    bank = bank_by(subject)
    if not access.sees_bank(actor, bank.code):
        raise _no_bank(subject)
    return bank


def bank_by(subject: str) -> Bank:
    """The bank of this code or id, whoever asks; raises SubjectNotFound."""
    bank = by_uuid(Bank, subject) or Bank.objects.filter(code=subject).first()
    if bank is None:
        raise _no_bank(subject)
    return bank


def _no_bank(subject: str) -> SubjectNotFound:
    return SubjectNotFound(format_lazy(_("There is no bank {bank}."), bank=subject), subject=subject)


def by_uuid(model: Any, subject: str) -> Any:
    """The row with this id; None for none, and for what is no id."""
    try:
        return model.objects.filter(pk=UUID(subject)).first()
    except ValueError:
        return None


def still_there(row: Any) -> Any:
    """The row; raises NotFound where it is gone."""
    if row is None:
        raise NotFound(_("What should be changed is no longer there."))
    return row
