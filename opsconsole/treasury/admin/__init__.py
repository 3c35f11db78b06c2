"""Treasury in the admin: banks, accounts, payouts and what became of them, routes, and the ledger."""

from opsconsole.treasury.admin.accounts import AccountAdmin
from opsconsole.treasury.admin.bank_messages import BankFileAdmin
from opsconsole.treasury.admin.banks import BankAdmin
from opsconsole.treasury.admin.batches import PayoutBatchFields
from opsconsole.treasury.admin.breaks import BreakAdmin
from opsconsole.treasury.admin.freezes import FreezeAdmin
from opsconsole.treasury.admin.instructions import InstructionAdmin
from opsconsole.treasury.admin.payouts import PayoutAdmin
from opsconsole.treasury.admin.plan_files import bank_files
from opsconsole.treasury.admin.plan_forms import FailoverFields, FreezeFields, PauseBankFields, SweepFields
from opsconsole.treasury.admin.routes import RouteAdmin
from opsconsole.treasury.admin.sweeps import SweepAdmin
from opsconsole.treasury.admin.transfers import TransferAdmin

__all__ = [
    "AccountAdmin",
    "BankAdmin",
    "BankFileAdmin",
    "BreakAdmin",
    "FailoverFields",
    "FreezeAdmin",
    "FreezeFields",
    "InstructionAdmin",
    "PauseBankFields",
    "PayoutAdmin",
    "PayoutBatchFields",
    "RouteAdmin",
    "SweepAdmin",
    "SweepFields",
    "TransferAdmin",
    "bank_files",
]
