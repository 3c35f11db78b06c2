"""The fields by which a payout batch is drafted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from opsconsole.plans.admin.drafting import PayloadFields, register_fields
from opsconsole.treasury.admin.plan_forms import simulate_field
from opsconsole.treasury.models import Route
from opsconsole.treasury.plan_types.payout_batch import PayoutBatch


def _currencies() -> list[tuple[str, str]]:
    """Those that some route pays."""
    codes = Route.objects.order_by("currency").values_list("currency", flat=True).distinct()
    return [(code, code) for code in codes]


class PayoutBatchFields(PayloadFields):
    """What is due in a currency by a date, up to a total."""

    currency = forms.ChoiceField(label=_("Currency"), choices=_currencies)
    cutoff_date = forms.DateField(
        label=_("Cut-off date"),
        initial=lambda: timezone.now().date(),
        help_text=_("Payouts due on this day or before are taken, the oldest first."),
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )
    total_amount = forms.DecimalField(
        label=_("Total amount, at most"),
        required=False,
        min_value=Decimal("0.01"),
        max_digits=18,
        decimal_places=2,
        help_text=_("Stops before the payout that would pass it; empty for no limit."),
        widget=forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}),
    )
    simulate_before_execute = simulate_field()

    def payload(self) -> dict[str, Any]:
        """As the plan type reads it."""
        given = self.cleaned_data
        payload = {
            "currency": given["currency"],
            "cutoff_date": given["cutoff_date"].isoformat(),
            "simulate_before_execute": given["simulate_before_execute"],
        }
        return payload | ({"total_amount": str(given["total_amount"])} if given["total_amount"] is not None else {})

    @staticmethod
    def initial_of(payload: Mapping[str, Any]) -> dict[str, Any]:
        """From the stored form."""
        return {**payload, "cutoff_date": date.fromisoformat(payload["cutoff_date"])}


register_fields(PayoutBatch.name, PayoutBatchFields)
