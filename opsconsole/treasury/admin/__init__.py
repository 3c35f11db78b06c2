"""Treasury in the admin: banks, accounts, payouts and what became of them, routes, and the ledger."""

from opsconsole.treasury.admin.accounts import AccountAdmin
from opsconsole.treasury.admin.banks import BankAdmin
from opsconsole.treasury.admin.batches import PayoutBatchFields
from opsconsole.treasury.admin.instructions import InstructionAdmin
from opsconsole.treasury.admin.payouts import PayoutAdmin
from opsconsole.treasury.admin.routes import RouteAdmin
from opsconsole.treasury.admin.transfers import TransferAdmin

__all__ = [
    "AccountAdmin",
    "BankAdmin",
    "InstructionAdmin",
    "PayoutAdmin",
    "PayoutBatchFields",
    "RouteAdmin",
    "TransferAdmin",
]
