"""The gateway of a bank, made of the bank's row; one per process and configuration, so that its line stays warm."""

from __future__ import annotations

import threading
from typing import Final

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from opsconsole.core.errors import Conflict
from opsconsole.core.storage import artifacts
from opsconsole.treasury.gateways.base import BankGateway, PaymentGateway
from opsconsole.treasury.gateways.http import HttpGateway
from opsconsole.treasury.gateways.iso20022 import Iso20022Gateway
from opsconsole.treasury.gateways.line import HttpSettings
from opsconsole.treasury.models import Bank
from opsconsole.treasury.states import GatewayKind

_open: Final[dict[object, tuple[HttpSettings, HttpGateway]]] = {}
_lock = threading.Lock()


class WrongGateway(Conflict):
    """This bank is spoken to in another way."""

    code = "wrong_gateway"


def gateway_for(bank: Bank) -> BankGateway:
    """The gateway by which this bank is spoken to: one payment a call, or files in the artifact storage."""
    if bank.gateway == GatewayKind.HTTP:
        return payment_gateway(bank)
    return Iso20022Gateway(artifacts(), bank.code)


def payment_gateway(bank: Bank) -> PaymentGateway:
    """The gateway of an `http` bank; raises WrongGateway for any other, BadGateway for settings that cannot work.

    Its connections, threads and circuit breaker are shared by all of this process; a changed address or secret makes
    a new one.
    """
    if bank.gateway != GatewayKind.HTTP:
        said = format_lazy(_("{bank} takes files, not single payments."), bank=bank.name)
        raise WrongGateway(said, bank=bank.code)
    settings = HttpSettings(base_url=bank.base_url, key_id=bank.key_id, secret=bank.secret.reveal())
    with _lock:
        held = _open.get(bank.pk)
        if held is not None and held[0] == settings:
            return held[1]
        gateway = HttpGateway(settings)
        _open[bank.pk] = (settings, gateway)
    if held is not None:
        held[1].close()
    return gateway
