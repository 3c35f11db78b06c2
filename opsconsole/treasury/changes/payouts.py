"""Payouts: who is paid by one, and where to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from opsconsole.changes.errors import ChangeRefused, SubjectNotFound
from opsconsole.changes.kinds.base import Described, Granted, Kind
from opsconsole.changes.kinds.fields import PlainText
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid
from opsconsole.journal.record import record
from opsconsole.treasury.changes.fields import BicField, IbanField
from opsconsole.treasury.changes.records import by_uuid, still_there
from opsconsole.treasury.models import Payout
from opsconsole.treasury.payouts.facts import COLUMNS, MAX_TEXT, FactsRefused, read_facts
from opsconsole.treasury.states import FIXED_PAYOUTS

BENEFICIARY: Final = ("beneficiary_name", "iban", "bic")


class BeneficiaryFields(serializers.Serializer[Any]):
    """Who is paid, and where to."""

    beneficiary_name = PlainText(label=_("name"), max_length=MAX_TEXT)
    iban = IbanField(label=_("IBAN"), max_length=42)
    bic = BicField(label=_("BIC"), max_length=11)


class Beneficiary(Kind):
    """Who is paid by one payout, and where to."""

    name = "beneficiary"
    label = _("Change the beneficiary")
    summary = _("Name, IBAN or BIC of one payout that no plan has hold of.")
    permission = "changes.request_treasury_change"
    fields = BeneficiaryFields
    subject_help = _("The external id or the id of the payout.")
    example_subject = "invoice-2025-0815"
    example = {"iban": "DE89370400440532013000", "bic": "COBADEFFXXX"}  # noqa: RUF012 - read only
    edits = True

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The payout's id, if the actor may see payouts."""
        payout = by_uuid(Payout, subject) or Payout.objects.filter(external_id=subject).first()
        if payout is None or not actor.may("treasury.view_payout"):
            raise SubjectNotFound(_("There is no such payout."), subject=subject)
        return str(payout.pk)

    def lock(self, subject_id: str) -> None:
        """The payout's row."""
        Payout.objects.select_for_update(no_key=True).filter(pk=subject_id).first()

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """What changes; refuses a payout that a plan has hold of, or that is paid."""
        payout = _the_payout(subject_id)
        if payout.status in FIXED_PAYOUTS:
            raise ChangeRefused(
                format_lazy(
                    _("The payout is {state}; only one that no plan has hold of can be changed."),
                    state=payout.state.label,
                ),
                status=payout.status,
            )
        raw = {column: str(values.get(column, getattr(payout, column))) for column in COLUMNS}
        try:
            facts = read_facts(raw)
        except FactsRefused as refused:
            problems: Any = {column: [why] for column, why in refused.problems.items()}
            said = format_lazy(_("It cannot be paid like that: {why}."), why=refused.told)
            raise Invalid(said, errors=problems) from refused
        changed = [name for name in BENEFICIARY if getattr(facts, name) != getattr(payout, name)]
        likewise = Payout.objects.filter(iban=facts.iban).exclude(pk=payout.pk).exists()
        warnings = () if likewise or "iban" not in changed else ("No other payout here has ever gone to this IBAN.",)
        return Described(
            subject_kind=Payout._meta.db_table,
            name=payout.external_id,
            title=f"Beneficiary of the payout {payout.external_id}, {payout.amount:f} {payout.currency}",
            before={name: getattr(payout, name) for name in changed},
            after={name: getattr(facts, name) for name in changed},
            warnings=warnings,
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Write it."""
        payout = _the_payout(subject_id)
        before = {name: old for name in values if (old := getattr(payout, name)) != values[name]}
        for name in before:
            setattr(payout, name, values[name])
        payout.save(update_fields=list(before))
        after = {**{name: values[name] for name in before}, **granted.trace}
        record(actor, "payout.beneficiary_changed", payout, before=before, after=after, reason=granted.reason)
        return ""

    def current(self, subject_id: str) -> dict[str, Any]:
        """As it is."""
        payout = _the_payout(subject_id)
        return {name: getattr(payout, name) for name in BENEFICIARY}


def _the_payout(subject_id: str) -> Payout:
    payout: Payout = still_there(Payout.objects.filter(pk=subject_id).first())
    return payout
