"""Banks: how each is spoken to, and a new one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from opsconsole.changes.errors import ChangeRefused
from opsconsole.changes.kinds.base import Described, Granted, Kind, fingerprint
from opsconsole.changes.kinds.fields import PlainText
from opsconsole.core.actors import Actor
from opsconsole.core.errors import Invalid
from opsconsole.core.fields import Secret
from opsconsole.journal.record import record
from opsconsole.treasury.changes.fields import BicField
from opsconsole.treasury.changes.records import bank_named, still_there
from opsconsole.treasury.gateways.http import HttpGateway
from opsconsole.treasury.gateways.line import HttpSettings
from opsconsole.treasury.models import Bank, Instruction, Route
from opsconsole.treasury.states import OPEN_INSTRUCTIONS, GatewayKind

SHORTEST_SECRET: Final = 16
BANK_FIELDS: Final = ("name", "bic", "base_url", "key_id", "fee_per_payment", "priority", "probing")


class GatewayFields(serializers.Serializer[Any]):
    """How a bank is spoken to."""

    name = PlainText(label=_("name"), max_length=100)
    bic = BicField(label=_("BIC"), max_length=11)
    base_url = PlainText(
        label=_("address"), max_length=300, allow_blank=True, required=False, help_text=_("https://host[:port][/path]")
    )
    key_id = PlainText(label=_("key id"), max_length=100, allow_blank=True, required=False)
    secret = PlainText(
        label=_("secret"),
        max_length=500,
        min_length=SHORTEST_SECRET,
        required=False,
        help_text=_("Shown to nobody, also not to the approvers: they see its fingerprint."),
    )
    fee_per_payment = serializers.DecimalField(
        label=_("fee per payment"), max_digits=18, decimal_places=2, min_value=0, required=False
    )
    priority = serializers.IntegerField(
        label=_("priority"), min_value=0, max_value=10_000, required=False, help_text=_("The lower comes first.")
    )
    probing = serializers.BooleanField(label=_("answers status probes"), required=False)


class NewBankFields(GatewayFields):
    """A bank to be."""

    code = serializers.RegexField(
        r"^[a-z][a-z0-9_-]{1,39}\Z", label=_("code"), help_text=_("Small letters, digits and dashes.")
    )
    gateway = serializers.ChoiceField(choices=GatewayKind.choices, label=_("spoken to by"))


class Gateway(Kind):
    """How a bank is spoken to, and what it takes for it."""

    name = "gateway"
    label = _("Change the gateway")
    summary = _("The address, keys, BIC, fee, priority or probing of a bank.")
    permission = "changes.request_treasury_change"
    fields = GatewayFields
    subject_help = _("The code or the id of the bank.")
    example_subject = "sandbox"
    example = {"base_url": "https://payments.bank.example", "fee_per_payment": "0.25"}  # noqa: RUF012 - read only
    edits = True
    secret_fields = ("secret",)

    def find(self, subject: str, _values: Mapping[str, Any], *, actor: Actor) -> str:
        """The bank's id, if the actor may see the bank."""
        return str(bank_named(subject, actor).pk)

    def lock(self, subject_id: str) -> None:
        """The bank's row."""
        Bank.objects.select_for_update(no_key=True).filter(pk=subject_id).first()

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """The settings that change, secrets by their fingerprints."""
        bank = _the_bank(subject_id)
        new = {**_facts(bank), **_typed(values)}
        _require_workable(bank.gateway, new)
        before, after = _shown(_facts(bank)), _shown(new)
        changed = [name for name in before if before[name] != after[name]]
        return Described(
            subject_kind=Bank._meta.db_table,
            name=bank.name,
            title=f"Gateway of {bank.name}: {', '.join(name.replace('_', ' ') for name in changed) or 'nothing'}",
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
            warnings=_gateway_warnings(bank, changed),
        )

    def apply(self, subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Write the settings; the next call to the bank uses them."""
        bank = _the_bank(subject_id)
        facts, new = _facts(bank), _typed(values)
        changed = {name: value for name, value in new.items() if _plain(facts[name]) != _plain(value)}
        for name, value in changed.items():
            setattr(bank, name, value)
        bank.save(update_fields=list(changed))
        before = {name: facts[name] for name in changed}
        record(actor, "bank.changed", bank, before=before, after={**changed, **granted.trace}, reason=granted.reason)
        return ""

    def current(self, subject_id: str) -> dict[str, Any]:
        """As it is, without the secret."""
        bank = _the_bank(subject_id)
        return {name: getattr(bank, name) for name in BANK_FIELDS}


class NewBank(Kind):
    """A bank that payments may go through."""

    name = "bank"
    label = _("Add a bank")
    summary = _("Another bank, with how it is spoken to. It gets accounts and routes afterwards.")
    permission = "changes.request_treasury_change"
    fields = NewBankFields
    subject_help = ""
    example_subject = ""
    example = {  # noqa: RUF012 - read only
        "code": "northbank",
        "name": "North Bank",
        "bic": "NORTDEFFXXX",
        "gateway": "http",
        "base_url": "https://payments.bank.example",
        "key_id": "molam-1",
        "secret": "at least sixteen characters",
        "fee_per_payment": "0.20",
        "priority": 30,
    }
    secret_fields = ("secret",)

    def find(self, _subject: str, values: Mapping[str, Any], *, actor: Actor) -> str:
        """Its code."""
        actor.require("treasury.view_bank")
        return str(values["code"])

    def describe(self, subject_id: str, values: Mapping[str, Any]) -> Described:
        """Everything about it; refuses a code that is taken."""
        if Bank.objects.filter(code=subject_id).exists():
            said = format_lazy(_("There is a bank {bank} already."), bank=subject_id)
            raise ChangeRefused(said, errors={"code": [_("is taken")]})
        new = _typed(values)
        _require_workable(values["gateway"], {"base_url": "", "key_id": "", "secret": "", **new})
        after = _shown(new) | {"code": values["code"], "gateway": values["gateway"]}
        return Described(
            subject_kind=Bank._meta.db_table,
            name=str(new["name"]),
            title=f"New bank {new['name']} ({subject_id})",
            before=dict.fromkeys(after),
            after=after,
        )

    def apply(self, _subject_id: str, values: Mapping[str, Any], *, granted: Granted, actor: Actor) -> str:
        """Make it, active."""
        facts = {**_typed(values), "code": values["code"], "gateway": values["gateway"]}
        bank = Bank.objects.create(**facts)
        record(actor, "bank.set_up", bank, after={**facts, **granted.trace}, reason=granted.reason)
        return ""


def _the_bank(subject_id: str) -> Bank:
    bank: Bank = still_there(Bank.objects.filter(pk=subject_id).first())
    return bank


def _facts(bank: Bank) -> dict[str, Any]:
    return {name: getattr(bank, name) for name in (*BANK_FIELDS, "secret")}


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The bank's columns out of the payload, in the types of the model."""
    found = {name: value for name, value in values.items() if name in (*BANK_FIELDS, "secret")}
    if "fee_per_payment" in found:
        found["fee_per_payment"] = Decimal(found["fee_per_payment"])
    return found


def _shown(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fingerprint(value) or "not set" if name == "secret" else value for name, value in facts.items()}


def _plain(value: Any) -> Any:
    return value.reveal() if isinstance(value, Secret) else value


def _require_workable(gateway: str, facts: Mapping[str, Any]) -> None:
    """Refuse settings that no gateway could be made of."""
    if gateway != GatewayKind.HTTP:
        return
    missing = [name for name in ("base_url", "key_id", "secret") if not facts.get(name)]
    if missing:
        problems = {name: [_("an HTTP gateway needs it")] for name in missing}
        raise Invalid(format_lazy(_("An HTTP gateway needs {names}."), names=", ".join(missing)), errors=problems)
    if settings.PRODUCTION and not str(facts["base_url"]).startswith("https://"):
        raise Invalid(_("A bank is spoken to by https."), errors={"base_url": [_("must begin with https://")]})
    # It checks its settings as it is made; raises BadGateway, which is Invalid.
    HttpGateway(
        HttpSettings(base_url=facts["base_url"], key_id=facts["key_id"], secret=str(_plain(facts["secret"])))
    ).close()


def _gateway_warnings(bank: Bank, changed: list[str]) -> tuple[str, ...]:
    said = []
    routes = Route.objects.filter(bank=bank).count()
    if "base_url" in changed:
        said.append(
            f"Every payment through this bank goes to the new address from then on; routes through it: {routes}."
        )
    on_its_way = Instruction.objects.filter(bank=bank, status__in=OPEN_INSTRUCTIONS).count()
    if on_its_way and {"base_url", "key_id", "secret"} & set(changed):
        said.append(f"{on_its_way} payments are planned or not settled yet; the bank is asked about them the new way.")
    if "probing" in changed and bank.probing:
        said.append("A payment whose answer is lost then waits for a person.")
    return tuple(said)
