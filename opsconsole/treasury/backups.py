"""What must come out of a restored backup as it went in: the balances, by currency, and the legs they are made of."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from opsconsole.backups.figures import Figure

FIGURES: Final = (
    Figure(
        "treasury_balances",
        _("balances of accounts"),
        "select coalesce(string_agg(currency || ' ' || total, ', ' order by currency), '0')"
        " from (select currency, sum(ledger_balance) as total from treasury_accounts group by currency) summed",
    ),
    Figure(
        "treasury_legs",
        _("money moved in the ledger"),
        "select coalesce(string_agg(currency || ' ' || total, ', ' order by currency), '0')"
        " from (select currency, sum(amount) as total from treasury_legs where amount > 0 group by currency) summed",
    ),
)
