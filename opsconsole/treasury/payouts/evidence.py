"""The rendered files of a payout batch, for the plan's evidence: the very bytes that were laid out for the bank."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from django.db import connection

from opsconsole.core.storage import artifacts
from opsconsole.plans.models import Plan
from opsconsole.plans.types import EvidenceFile, FileGone
from opsconsole.treasury.gateways.iso20022 import FAILURES, Iso20022Gateway, Tray
from opsconsole.treasury.states import GatewayKind

CHUNK: Final = 1 << 16


def rendered_files(plan: Plan) -> Iterable[EvidenceFile]:
    """Each file that a step of the plan handed in, by the digest that its bank took it under."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select b.code, s.seq, s.result ->> 'reference', count(i.id), sum(i.amount), min(i.currency)
            from ops_plan_steps s
              join treasury_instructions i on i.step_id = s.id
              join treasury_banks b on b.id = i.bank_id
            where s.plan_id = %s and s.direction = 'execute' and b.gateway = %s
              and s.result ->> 'reference' ~ '^[0-9a-f]{64}$'
            group by 1, 2, 3 order by 2
            """,
            [plan.pk, GatewayKind.ISO20022],
        )
        found = cursor.fetchall()
    for bank, seq, digest, count, total, currency in found:
        yield EvidenceFile(
            name=f"{bank}-step-{seq}.pain.001.xml",
            digest=digest,
            about={"step": seq, "bank": bank, "count": count, "control_sum": total, "currency": currency},
            chunks=partial(_chunks, bank, digest),
        )


def _chunks(bank: str, digest: str) -> Iterator[bytes]:
    """The file's bytes, in whichever tray it lies by now; raises FileGone where it lies in none."""
    storage = artifacts()
    gateway = Iso20022Gateway(storage, bank)
    try:
        for tray in Tray:
            path = gateway.path(tray, digest)
            if storage.exists(path):
                with storage.open(path) as file:
                    yield from file.chunks(CHUNK)
                return
    except FAILURES as error:
        raise FileGone(f"the storage does not answer: {error}") from error
    raise FileGone("it is in none of the bank's trays")
