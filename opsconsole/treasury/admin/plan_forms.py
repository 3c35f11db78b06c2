"""The fields by which sweeps, failovers, freezes and pauses of banks are drafted; named as their payloads are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, cast

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.actors import Actor
from opsconsole.core.admin import display
from opsconsole.core.admin.actions import MAX_REASON
from opsconsole.core.errors import Denied
from opsconsole.plans.admin.drafting import PayloadFields, register_fields
from opsconsole.treasury import access
from opsconsole.treasury.models import Account, Bank, Route
from opsconsole.treasury.states import AccountKind

Choices = list[tuple[str, str]]

MOST_ACCOUNTS: Final = 500
EMPTY: Final = ("", "–")


def currencies() -> Choices:
    """Those in which some settlement account is held."""
    held = Account.objects.filter(kind=AccountKind.SETTLEMENT).order_by("currency")
    return [(code, code) for code in held.values_list("currency", flat=True).distinct()]


def banks() -> Choices:
    """All banks, with their state."""
    return [(bank.code, f"{bank.name} ({bank.code}), {bank.state.label}") for bank in Bank.objects.order_by("code")]


def settlement_accounts() -> Choices:
    """Settlement accounts by their IBAN, with what they hold."""
    held = Account.objects.filter(kind=AccountKind.SETTLEMENT, iban__isnull=False).select_related("bank")
    return [
        (
            account.iban or "",
            f"{account.iban} · {account.name} · {display.amount(account.ledger_balance)} {account.currency}",
        )
        for account in held.order_by("currency", "bank__code", "id")[:MOST_ACCOUNTS]
    ]


def accounts_by_id() -> Choices:
    """The same, by the account's own id."""
    held = Account.objects.filter(kind=AccountKind.SETTLEMENT).select_related("bank")
    return [
        (str(account.pk), f"{account.iban} · {account.name} · {account.bank.name}")
        for account in held.order_by("currency", "bank__code", "id")[:MOST_ACCOUNTS]
    ]


def corridors() -> Choices:
    """The routes there are: a currency, and the country where one is named."""
    found: dict[str, str] = {}
    for route in Route.objects.select_related("bank").order_by("currency", "country"):
        way = now_("%(corridor)s (now through %(bank)s)")
        found.setdefault(route.corridor, way % {"corridor": route.corridor, "bank": route.bank.name})
    return list(found.items())


def _with_nothing(choices: Any) -> Any:
    return lambda: [EMPTY, *choices()]


def _reason_field() -> forms.CharField:
    return forms.CharField(
        label=_("Reason"),
        max_length=MAX_REASON,
        help_text=_("Whoever approves reads it, and it goes into the journal."),
        widget=forms.Textarea({"rows": 3}),
    )


def simulate_field() -> forms.BooleanField:
    """Whether to simulate before money is sent; it is, unless somebody says otherwise."""
    return forms.BooleanField(
        label=_("Simulate first"),
        required=False,
        initial=True,
        help_text=_("Compares everything with the records and the banks' own balances, and stops on a difference."),
    )


class SeenFields(PayloadFields):
    """Fields that choose among banks and accounts."""

    def keep_to(self, actor: Actor) -> None:
        """Only those that the actor may see, for a person who was given one plan and some banks."""
        banks = access.visible_banks, "code", ("bank", "source_bank", "from_bank", "to_bank")
        by_iban = access.visible_accounts, "iban", ("source_accounts", "target_account")
        by_id = access.visible_accounts, "pk", ("account",)
        for visible, known_by, names in (banks, by_iban, by_id):
            for name in self.fields.keys() & set(names):
                self._offer(name, _values(visible, known_by, actor))
        if "corridors" in self.fields:
            self._offer("corridors", _corridors_seen_by(actor))

    def _offer(self, name: str, seen: set[str]) -> None:
        field = cast(forms.ChoiceField, self.fields[name])
        offered = cast(Iterable[tuple[str, str]], field.choices)
        field.choices = [(value, label) for value, label in offered if not value or value in seen]


def _corridors_seen_by(actor: Actor) -> set[str]:
    try:
        return {route.corridor for route in access.visible_routes(actor)}
    except Denied:
        return set()


def _values(visible: Callable[[Actor], QuerySet[Any]], known_by: str, actor: Actor) -> set[str]:
    try:
        return {str(value) for value in visible(actor).values_list(known_by, flat=True)}
    except Denied:
        return set()


class SweepFields(SeenFields):
    """From which accounts, to which one, and what stays."""

    currency = forms.ChoiceField(label=_("Currency"), choices=currencies)
    source_bank = forms.ChoiceField(
        label=_("From all accounts at"),
        required=False,
        choices=_with_nothing(banks),
        help_text=_("Either a bank, or single accounts below."),
    )
    source_accounts = forms.MultipleChoiceField(
        label=_("From these accounts"),
        required=False,
        choices=settlement_accounts,
        widget=forms.CheckboxSelectMultiple,
    )
    target_account = forms.ChoiceField(label=_("To the account"), choices=settlement_accounts)
    keep_minimum = forms.DecimalField(
        label=_("Leave on each account"),
        min_value=Decimal(0),
        max_digits=18,
        decimal_places=2,
        initial=Decimal("0.00"),
        widget=forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}),
    )
    simulate_before_execute = simulate_field()

    def payload(self) -> dict[str, Any]:
        """As the plan type reads it: one of the two sources."""
        given = self.cleaned_data
        payload = {
            "currency": given["currency"],
            "target_account": given["target_account"],
            "keep_minimum": str(given["keep_minimum"]),
            "simulate_before_execute": given["simulate_before_execute"],
        }
        sources = {name: given[name] for name in ("source_bank", "source_accounts") if given[name]}
        return payload | sources

    @staticmethod
    def initial_of(payload: Mapping[str, Any]) -> dict[str, Any]:
        """From the stored form."""
        return {
            **payload,
            "source_bank": payload.get("source_bank") or "",
            "source_accounts": payload.get("source_accounts") or [],
        }


class FailoverFields(SeenFields):
    """From which bank to which, for all of its routes or some."""

    from_bank = forms.ChoiceField(label=_("From bank"), choices=banks)
    to_bank = forms.ChoiceField(label=_("To bank"), choices=banks)
    corridors = forms.MultipleChoiceField(
        label=_("Only these corridors"),
        required=False,
        choices=corridors,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("A currency and a country, * for every country. Mark none to move all routes of the bank."),
    )

    def payload(self) -> dict[str, Any]:
        """As the plan type reads it."""
        given = self.cleaned_data
        payload = {"from_bank": given["from_bank"], "to_bank": given["to_bank"]}
        return payload | ({"corridors": given["corridors"]} if given["corridors"] else {})

    @staticmethod
    def initial_of(payload: Mapping[str, Any]) -> dict[str, Any]:
        """From the stored form."""
        return {**payload, "corridors": payload.get("corridors") or []}


class FreezeFields(SeenFields):
    """What is frozen, and why."""

    subject = forms.ChoiceField(
        label=_("What is frozen?"),
        choices=[
            ("account", _("an account of ours")),
            ("beneficiary", _("a payee, by IBAN")),
            ("merchant", _("a merchant, by id")),
        ],
        widget=forms.RadioSelect,
    )
    account = forms.ChoiceField(
        label=_("The account"), required=False, choices=_with_nothing(accounts_by_id), help_text=_("For an account.")
    )
    id = forms.CharField(
        label=_("The payee's IBAN, or the merchant's id"),
        required=False,
        max_length=100,
        help_text=_("For a payee or a merchant; an IBAN with or without spaces."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "class": "ops-mono"}),
    )
    reason = _reason_field()

    def clean(self) -> dict[str, Any]:
        """One of the two fields says which."""
        cleaned = super().clean() or self.cleaned_data
        wanted = "account" if cleaned.get("subject") == "account" else "id"
        if cleaned.get("subject") and not cleaned.get(wanted):
            self.add_error(wanted, now_("Say which one."))
        return cleaned

    def payload(self) -> dict[str, Any]:
        """As the plan type reads it."""
        given = self.cleaned_data
        named = given["account"] if given["subject"] == "account" else given["id"].strip()
        if given["subject"] == "beneficiary":
            named = named.replace(" ", "").upper()
        return {"subject": given["subject"], "id": named, "reason": given["reason"]}

    @staticmethod
    def initial_of(payload: Mapping[str, Any]) -> dict[str, Any]:
        """From the stored form."""
        where = "account" if payload["subject"] == "account" else "id"
        return {"subject": payload["subject"], where: payload["id"], "reason": payload["reason"]}

    @staticmethod
    def shown(payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """An account of ours by its IBAN, or by its name where it has none."""
        account = Account.objects.filter(pk=payload["id"]).first() if payload["subject"] == "account" else None
        if account is None:
            return payload
        rest = {name: value for name, value in payload.items() if name != "id"}
        return rest | {"account": account.iban or account.name}


class PauseBankFields(SeenFields):
    """Which bank, and why."""

    bank = forms.ChoiceField(label=_("Bank"), choices=banks)
    reason = _reason_field()

    def payload(self) -> dict[str, Any]:
        """As the plan type reads it."""
        return {"bank": self.cleaned_data["bank"], "reason": self.cleaned_data["reason"]}

    @staticmethod
    def initial_of(payload: Mapping[str, Any]) -> dict[str, Any]:
        """From the stored form."""
        return dict(payload)


register_fields("sweep", SweepFields)
register_fields("failover", FailoverFields)
register_fields("freeze", FreezeFields)
register_fields("pause_bank", PauseBankFields)
