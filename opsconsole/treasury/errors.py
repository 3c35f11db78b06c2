"""What can go wrong in treasury.

Invalid 400 ──── PayoutInvalid
NotFound 404 ─── BankNotFound, AccountNotFound, PayoutNotFound, RouteNotFound, BankFileNotFound, BreakNotFound
Conflict 409 ─── ExternalIdTaken, AlreadyBooked, RouteMoved, BankPaused, BeneficiaryFrozen, MerchantFrozen
RuleBroken 422 ─ ImportRefused, RouteRefused, LedgerRefused ── InsufficientFunds, AccountFrozen
"""

from __future__ import annotations

from opsconsole.core.errors import Conflict, Invalid, NotFound, RuleBroken


class PayoutInvalid(Invalid):
    """The payout cannot be paid as it is written; `errors` says which field and why."""

    code = "payout_invalid"


class BankNotFound(NotFound):
    """No such bank, or none this actor may see."""

    code = "bank_not_found"


class AccountNotFound(NotFound):
    """No such account, or none this actor may see."""

    code = "account_not_found"


class PayoutNotFound(NotFound):
    """No such payout, or none this actor may see."""

    code = "payout_not_found"


class RouteNotFound(NotFound):
    """No such route, or none this actor may see."""

    code = "route_not_found"


class BankFileNotFound(NotFound):
    """No such file of a bank, or none this actor may see."""

    code = "bank_file_not_found"


class BreakNotFound(NotFound):
    """No such break, or none this actor may see."""

    code = "break_not_found"


class ExternalIdTaken(Conflict):
    """Another payout bears this external_id."""

    code = "external_id_taken"


class RouteMoved(Conflict):
    """The route no longer leads where the caller believed it did."""

    code = "route_moved"


class AlreadyBooked(Conflict):
    """A transfer with this reference is in the ledger."""

    code = "already_booked"


class ImportRefused(RuleBroken):
    """The file holds rows that cannot be loaded, and was to be loaded whole or not at all."""

    code = "import_refused"


class RouteRefused(RuleBroken):
    """Payouts of this corridor cannot be paid from that account."""

    code = "route_refused"


class LedgerRefused(RuleBroken):
    """The ledger does not allow this booking."""

    code = "ledger_refused"


class InsufficientFunds(LedgerRefused):
    """The account does not hold that much."""

    code = "insufficient_funds"


class AccountFrozen(LedgerRefused):
    """The account is frozen: nothing is paid from it."""

    code = "account_frozen"


class BankPaused(Conflict):
    """The bank is paused: nothing new goes to it."""

    code = "bank_paused"


class BeneficiaryFrozen(Conflict):
    """The beneficiary is frozen: nothing is paid to it."""

    code = "beneficiary_frozen"


class MerchantFrozen(Conflict):
    """The merchant is frozen: nothing is paid for it."""

    code = "merchant_frozen"
