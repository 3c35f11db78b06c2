"""The moves of money in the ledger, in the words in which people follow a payment."""

from __future__ import annotations

from typing import Final

from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import display
from opsconsole.core.texts import Text
from opsconsole.treasury.states import TransferKind

_WORDS: Final[dict[TransferKind, tuple[Text, str]]] = {
    TransferKind.SENT: (_("handed to the bank"), "info"),
    TransferKind.SETTLED: (_("settled"), "good"),
    TransferKind.SWEPT: (_("arrived on another account of ours"), "good"),
    TransferKind.NOT_SENT: (_("never went out"), "warn"),
    TransferKind.FAILED: (_("refused by the bank"), "bad"),
    TransferKind.RETURNED: (_("returned by the bank"), "warn"),
    TransferKind.RECALLED: (_("recalled"), "warn"),
    TransferKind.FUNDED: (_("funded"), "plain"),
}
OF_PAYMENTS: Final = tuple(kind for kind in _WORDS if kind not in (TransferKind.SWEPT, TransferKind.FUNDED))


def move_label(kind: TransferKind) -> SafeString:
    """A move in its colour."""
    text, tone = _WORDS[kind]
    return display.label(text, tone)
