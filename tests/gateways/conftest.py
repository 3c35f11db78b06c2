"""A bank, and gateways and orders for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opsconsole.treasury.gateways.breaker import Breaker
from opsconsole.treasury.gateways.http import HttpGateway
from opsconsole.treasury.gateways.line import HttpSettings
from tests.sandbox_bank.process import BankProcess, bank, new_bank, shared_bank

__all__ = ["bank", "connect", "new_bank", "shared_bank"]


@pytest.fixture
def connect() -> Iterator[Callable[..., HttpGateway]]:
    """A gateway to a bank: `connect(bank, read_timeout=0.5)`; its breaker opens late unless given."""
    gateways: list[HttpGateway] = []

    def make(bank: BankProcess | str, *, breaker: Breaker | None = None, **options: Any) -> HttpGateway:
        base_url, secret = (bank, "sandbox-secret") if isinstance(bank, str) else (bank.base_url, bank.secret)
        settings = HttpSettings(**{"base_url": base_url, "key_id": "sandbox", "secret": secret, **options})
        gateways.append(HttpGateway(settings, breaker=breaker or Breaker(threshold=1_000)))
        return gateways[-1]

    yield make
    for gateway in gateways:
        gateway.close()
