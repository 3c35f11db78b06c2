"""A million voucher codes, made by the service as a worker does, beside as many codes of the same random source copied
into a table with the same columns and indexes and without a rule, in one transaction."""

from __future__ import annotations

import uuid

import psycopg

from bench.figures import Figure
from bench.members import a_program, bare, person, quiet, seconds, superuser
from loyalty.models import Program, Voucher
from loyalty.services import vouchers
from loyalty.vouchers.codes import new_codes

CODES = 1_000_000
ROUNDS = 2


def run(*, scale: float) -> list[Figure]:
    """Seconds from the order to the last code."""
    count = int(CODES * scale)
    ours, floors = [], []
    with a_program("bench vouchers") as program, superuser() as db:
        for number in range(ROUNDS if scale >= 1 else 1):  # in turn, so that both meet the same machine
            quiet(db)
            floors.append(_copied(db, count))
            quiet(db)
            ours.append(seconds(lambda name=f"Bench {number}": _issue(program, name, count)))
            if (made := Voucher.objects.filter(batch__program=program).count()) != count * (number + 1):
                raise RuntimeError(f"there are {made} codes")
    return [
        Figure(
            f"{count:,} voucher codes", min(ours), min(floors), "s", "COPY of as many into a table without rules",
            0.6, "make bench ARGS=loyalty_vouchers", lower_is_better=True, target=30.0,
        )
    ]  # fmt: skip


def _issue(program: Program, name: str, count: int) -> None:
    marketing = person("ops_marketing")
    batch, _new = vouchers.issue_batch(program_id=program.pk, name=name, points=10, count=count, actor=marketing)
    while not batch.is_made:
        batch = vouchers.make_codes(batch_id=batch.pk, actor=marketing)


def _copied(db: psycopg.Connection, count: int) -> float:
    with bare(db, "loyalty_vouchers") as table:

        def copied() -> None:
            batch = uuid.uuid4()
            with db.cursor() as cursor, cursor.copy(f"copy {table} (batch_id, code) from stdin") as copy:
                copy.write("".join(f"{batch}\t{code}\n" for code in new_codes(count)))

        return seconds(copied)
