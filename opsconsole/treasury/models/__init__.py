"""Treasury's tables, a room for each noun."""

from opsconsole.treasury.models.bank_files import BankFile, BankLine, Break, StatedBalance, path_of
from opsconsole.treasury.models.banks import Account, Bank, Route
from opsconsole.treasury.models.freezes import Alteration, Freeze
from opsconsole.treasury.models.ledger import Leg, Transfer
from opsconsole.treasury.models.patterns import CURRENCY, IBAN
from opsconsole.treasury.models.payouts import EndToEndId, Instruction, Payout, Tally
from opsconsole.treasury.models.sweeps import Sweep

__all__ = [
    "CURRENCY",
    "IBAN",
    "Account",
    "Alteration",
    "Bank",
    "BankFile",
    "BankLine",
    "Break",
    "EndToEndId",
    "Freeze",
    "Instruction",
    "Leg",
    "Payout",
    "Route",
    "StatedBalance",
    "Sweep",
    "Tally",
    "Transfer",
    "path_of",
]
