"""Accounts: a new one, and the IBAN and name of one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from opsconsole.changes.errors import ChangeRefused, SubjectNotFound
from opsconsole.changes.kinds.base import Described, Granted, Kind
from opsconsole.changes.kinds.fields import PlainText
from opsconsole.core.actors import Actor
from opsconsole.journal.record import record
from opsconsole.treasury import access
from opsconsole.treasury.changes.fields import IbanField
from opsconsole.treasury.changes.records import bank_by, bank_named, by_uuid, still_there
from opsconsole.treasury.currencies import DECIMALS
from opsconsole.treasury.models import Account, Instruction
from opsconsole.treasury.services.banks import BESIDE
from opsconsole.treasury.states import OPEN_INSTRUCTIONS, AccountKind


class NewAccountFields(serializers.Serializer[Any]):
    """An account to be."""

    bank = PlainText(label=_("bank"), max_length=40, help_text=_("Its code or id."))
    name = PlainText(label=_("name"), max_length=140)
    iban = IbanField(label=_("IBAN"), max_length=42)
    currency = serializers.ChoiceField(choices=sorted(DECIMALS), label=_("currency"))


class NewAccount(Kind):
    """A settlement account at a bank, with the ledger's own accounts beside it."""

    name = "account"
    label = _("Add an account")
    summary = _("Another settlement account at a bank. The ledger's own accounts are opened beside it.")
    permission = "changes.request_treasury_change"
    fields = NewAccountFields
    subject_help = ""
    example_subject = ""
    example = {  # noqa: RUF012 - read only
        "bank": "sandbox",
        "name": "Molam payouts, second account",
        "iban": "DE89370400440532013000",
        "currency": "EUR",
    }

    def find(self, _subject: str, values: Mapping[str, Any], *, actor: Actor) -> str:
        """Its IBAN."""
        bank_named(values["bank"], actor)
        return str(values["iban"])

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """Everything about it; refuses an IBAN that another account has."""
        bank = bank_by(values["bank"])
        _require_free_iban(subject_id)
        after = {"bank": bank.name, "name": values["name"], "iban": subject_id, "currency": values["currency"]}
        return Described(
            subject_kind=Account._meta.db_table,
            name=str(values["name"]),
            title=f"New account {values['name']} at {bank.name}",
            before=dict.fromkeys(after),
            after=after,
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Open it, and those beside it that are missing."""
        bank, currency = bank_by(values["bank"]), values["currency"]
        wanted: list[tuple[str, AccountKind, str | None]] = [(values["name"], AccountKind.SETTLEMENT, subject_id)]
        wanted += [(f"{bank.name} {currency} {kind.label}", kind, None) for kind in BESIDE]
        for name, kind, iban in wanted:
            if iban is None and Account.objects.filter(bank=bank, currency=currency, kind=kind).exists():
                continue
            facts: dict[str, Any] = {"name": name, "iban": iban, "currency": currency, "kind": str(kind)}
            account = Account.objects.create(bank=bank, **facts)
            after = {"bank": bank.pk, **facts, **granted.trace}
            record(actor, "account.opened", account, after=after, reason=granted.reason)
        return ""


class AccountFields(serializers.Serializer[Any]):
    """What can be changed about an account."""

    iban = IbanField(label=_("IBAN"), max_length=42)
    name = PlainText(label=_("name"), max_length=140)


class AccountFacts(Kind):
    """The IBAN and the name of an account of ours."""

    name = "iban"
    label = _("Change IBAN or name")
    summary = _("The IBAN, or the name, of one of our settlement accounts.")
    permission = "changes.request_treasury_change"
    fields = AccountFields
    subject_help = _("The id or the IBAN of the account.")
    example_subject = "DE36100100100000000001"
    example = {"iban": "DE89370400440532013000"}  # noqa: RUF012 - read only
    edits = True

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The account's id, if the actor may see it."""
        account = by_uuid(Account, subject) or Account.objects.filter(iban=subject.replace(" ", "")).first()
        if account is None or not access.sees_account(actor, pk=str(account.pk)):
            raise SubjectNotFound(_("There is no such account."), subject=subject)
        return str(account.pk)

    def lock(self, subject_id: str) -> None:
        """The account's row."""
        Account.objects.select_for_update(no_key=True).filter(pk=subject_id).first()

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """What changes, and what is on its way from the account."""
        account = _the_account(subject_id)
        if "iban" in values and account.kind != AccountKind.SETTLEMENT:
            raise ChangeRefused(
                _("Only a settlement account has an IBAN."), errors={"iban": [_("not for this account")]}
            )
        changed = [name for name in ("iban", "name") if name in values and getattr(account, name) != values[name]]
        if "iban" in changed:
            _require_free_iban(values["iban"])
        on_its_way = Instruction.objects.filter(account=account, status__in=OPEN_INSTRUCTIONS).count()
        warnings = (
            (f"{on_its_way} payments from this account are planned or not settled yet.",)
            if "iban" in changed and on_its_way
            else ()
        )
        return Described(
            subject_kind=Account._meta.db_table,
            name=account.name,
            title=f"{' and '.join(changed).replace('iban', 'IBAN') or 'nothing'} of the account {account.name}",
            before={name: getattr(account, name) for name in changed},
            after={name: values[name] for name in changed},
            warnings=warnings,
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Write it."""
        account = _the_account(subject_id)
        before = {name: old for name in values if (old := getattr(account, name)) != values[name]}
        for name in before:
            setattr(account, name, values[name])
        account.save(update_fields=list(before))
        after = {**{name: values[name] for name in before}, **granted.trace}
        record(actor, "account.changed", account, before=before, after=after, reason=granted.reason)
        return ""

    def current(self, subject_id: str) -> dict[str, Any]:
        """As it is."""
        account = _the_account(subject_id)
        return {"iban": account.iban or "", "name": account.name}


def _the_account(subject_id: str) -> Account:
    rows = Account.objects.select_related("bank").defer("bank__secret").filter(pk=subject_id)
    account: Account = still_there(rows.first())
    return account


def _require_free_iban(iban: str) -> None:
    taken = Account.objects.filter(iban=iban).first()
    if taken is not None:
        said = format_lazy(_("The account {account} has this IBAN."), account=taken.name)
        raise ChangeRefused(said, errors={"iban": [_("is taken")]})
