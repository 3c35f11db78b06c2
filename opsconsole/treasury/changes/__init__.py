"""Treasury's kinds of change: where money goes, and by whom it is carried, is changed only when others agree."""

from typing import Final

from opsconsole.treasury.changes.accounts import AccountFacts, NewAccount
from opsconsole.treasury.changes.banks import Gateway, NewBank
from opsconsole.treasury.changes.payouts import Beneficiary

KINDS: Final = (Gateway(), NewBank(), NewAccount(), AccountFacts(), Beneficiary())

__all__ = ["KINDS"]
