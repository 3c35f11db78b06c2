"""What the pages of plans show of treasury: the files that went to banks, and where names in an impact lead on to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from django.contrib import admin
from django.core.files import File
from django.http import HttpRequest
from django.utils.translation import gettext as now_
from django.utils.translation import gettext_lazy as _

from opsconsole.core.admin import display
from opsconsole.core.errors import NotFound
from opsconsole.core.storage import artifacts
from opsconsole.plans.admin.downloads import Download, register_downloads
from opsconsole.plans.models import Plan, Step
from opsconsole.plans.states import StepState
from opsconsole.treasury.gateways.iso20022 import Iso20022Gateway, Tray
from opsconsole.treasury.models import Account, Bank, Instruction, Payout
from opsconsole.treasury.payouts.orders import FILE

MOST_FILES: Final = 50


@register_downloads
def bank_files(request: HttpRequest, plan: Plan) -> Sequence[Download]:
    """The files of payments that the plan has handed to banks, for those who may see its payments."""
    if not admin.site._registry[Instruction].has_view_permission(request):
        return []
    handed = Step.objects.filter(plan=plan, kind=FILE, direction="execute", status=StepState.SUCCEEDED).order_by("seq")
    files: list[Download] = []
    for step in handed[:MOST_FILES]:
        digest = str((step.result or {}).get("reference", ""))
        if digest:
            bank = step.payload["bank"]
            what = now_("%(format)s for %(bank)s, %(count)s payments, %(sum)s %(currency)s") % {
                "format": step.payload["format"],
                "bank": bank,
                "count": display.number(step.payload["count"]),
                "sum": display.amount(step.payload["control_sum"]),
                "currency": step.payload["currency"],
            }
            name = f"{plan.external_id}-{step.seq}.xml"
            files.append(Download(name, what, partial(stored_file, bank, digest), digest, "application/xml"))
    return files


def stored_file(bank: str, digest: str) -> File[bytes]:
    """A file that was handed to a bank, wherever it lies now; raises NotFound once it was cleared away."""
    storage = artifacts()
    gateway = Iso20022Gateway(storage, bank)
    for tray in (Tray.OUTGOING, Tray.COLLECTED, Tray.WITHDRAWN, Tray.PREPARED):
        path = gateway.path(tray, digest)
        if storage.exists(path):
            return storage.open(path)
    raise NotFound(_("The file is no longer in the storage."), bank=bank, digest=digest)


def _account_url(named: str) -> str:
    """An account by its id; an IBAN by the list that finds it."""
    if display.UUID_FORM.fullmatch(named):
        return display.row_url_of(Account, named)
    return display.list_url(Account, q=named)


display.register_link("payout", Payout, lambda named: display.list_url(Payout, q=named))
display.register_link("like", Payout, lambda named: display.list_url(Payout, q=named))
display.register_link("account", Account, _account_url)
for _name in ("bank", "from_bank", "to_bank", "source_bank", "target_bank"):
    display.register_link(_name, Bank, lambda code: display.list_url(Bank, q=code))
for _name in ("target_account", "recall"):
    display.register_link(_name, Account, _account_url)
