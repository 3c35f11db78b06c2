"""What Prometheus is told of treasury: payouts from the tallies, the rest from partial indexes and small tables."""

from __future__ import annotations

from collections import Counter

from opsconsole.core.metrics import Fact, Samples, register
from opsconsole.treasury.ledger import imbalance
from opsconsole.treasury.models import Account, Bank, Freeze
from opsconsole.treasury.selectors import (
    balance_differences,
    oldest_unread_file,
    oldest_unsettled,
    open_breaks,
    open_instructions,
    open_sweeps,
    payout_tallies,
)
from opsconsole.treasury.states import BankState, FreezeKind, PayoutState


def _payouts() -> Samples:
    counted: Counter[str] = Counter()
    for tallied in payout_tallies():
        counted[tallied.status] += tallied.count
    return [((state.value,), float(counted[state.value])) for state in PayoutState]


def _banks() -> Samples:
    counted = Counter(Bank.objects.values_list("status", flat=True))
    return [((state.value,), float(counted[state.value])) for state in BankState]


def _freezes() -> Samples:
    counted = Counter(Freeze.objects.filter(lifted_at=None).values_list("kind", flat=True))
    return [((kind.value,), float(counted[kind.value])) for kind in FreezeKind]


def _balances() -> Samples:
    return [
        ((account.bank.code, account.kind, account.name, account.currency), float(account.ledger_balance))
        for account in Account.objects.select_related("bank").order_by("pk")
    ]


register(
    Fact("ops_payouts", "Payouts by status.", "gauge", ("status",), _payouts),
    Fact(
        "ops_payouts_amount",
        "What the payouts sum to, by status and currency.",
        "gauge",
        ("status", "currency"),
        lambda: [((tallied.status, tallied.currency), float(tallied.amount)) for tallied in payout_tallies()],
    ),
    Fact(
        "ops_instructions",
        "Instructions not yet at an end, by status.",
        "gauge",
        ("status",),
        lambda: [((status,), float(count)) for status, count in open_instructions().items()],
    ),
    Fact(
        "ops_sweeps",
        "Sweeps not yet at an end, by status.",
        "gauge",
        ("status",),
        lambda: [((status,), float(count)) for status, count in open_sweeps().items()],
    ),
    Fact(
        "ops_bank_breaks",
        "Lines of bank files that our records do not explain and nobody has resolved.",
        "gauge",
        (),
        lambda: [((), float(open_breaks()[0]))],
    ),
    Fact(
        "ops_bank_breaks_oldest_seconds",
        "How long the oldest open break has waited; 0 where there is none.",
        "gauge",
        (),
        lambda: [((), open_breaks()[1])],
    ),
    Fact(
        "ops_bank_files_oldest_seconds",
        "How long ago the oldest file of a bank came that is not taken in to its end; 0 where there is none.",
        "gauge",
        (),
        lambda: [((), oldest_unread_file())],
    ),
    Fact(
        "ops_bank_balance_difference",
        "How much more the bank stated last than the ledger expected: anything but zero is wrong.",
        "gauge",
        ("bank", "account", "currency"),
        lambda: [((code, iban, currency), float(rest)) for code, iban, currency, rest in balance_differences()],
    ),
    Fact(
        "ops_settlement_oldest_seconds",
        "How long the oldest payment of each bank has been sent without being settled.",
        "gauge",
        ("bank",),
        lambda: [((bank,), age) for bank, age in oldest_unsettled().items()],
    ),
    Fact("ops_banks", "Banks by status.", "gauge", ("status",), _banks),
    Fact("ops_freezes", "Freezes that stand, by what is frozen.", "gauge", ("kind",), _freezes),
    Fact(
        "ops_account_balance",
        "What the ledger says is on each account.",
        "gauge",
        ("bank", "kind", "account", "currency"),
        _balances,
    ),
    Fact(
        "ops_ledger_imbalance",
        "What all balances of a currency sum to: anything but zero is wrong.",
        "gauge",
        ("currency",),
        lambda: [((currency,), float(rest)) for currency, rest in imbalance().items()],
    ),
)
