"""What Prometheus is told of the journal: is it sealed, is it verified."""

from __future__ import annotations

from functools import partial

from opsconsole.core.metrics import Fact, number, register
from opsconsole.journal.outcomes import BROKEN, VERIFIED

_UNSEALED = "select count(*) from journal_pending"
_OLDEST_UNSEALED = """
    select (select extract(epoch from now() - e.at) from journal_entries e
            where e.seq = (select min(p.seq) from journal_pending p))
"""
_CHECKPOINT_AGE = """
    select (select extract(epoch from now() - c.at) from journal_checkpoints c order by c.size desc limit 1)
"""
_SOUND = f"""
    select (select (verb = '{VERIFIED}')::int from journal_entries where verb in ('{VERIFIED}', '{BROKEN}')
            order by at desc, seq desc limit 1)
"""
_VERIFIED_AGE = f"""
    select coalesce(extract(epoch from now() - max(at)), -1) from journal_entries where verb = '{VERIFIED}'
"""

register(
    Fact("ops_journal_unsealed", "Entries the sealer has yet to reach.", "gauge", (), partial(number, _UNSEALED)),
    Fact(
        "ops_journal_unsealed_seconds",
        "Age of the oldest entry that is not sealed; 0 when all are.",
        "gauge",
        (),
        partial(number, _OLDEST_UNSEALED),
    ),
    Fact(
        "ops_journal_checkpoint_seconds",
        "Seconds since the newest signed checkpoint; none is signed while nothing happens.",
        "gauge",
        (),
        partial(number, _CHECKPOINT_AGE),
    ),
    Fact(
        "ops_journal_sound",
        "1 if the last verification found nothing; 0 if it did, or there was none.",
        "gauge",
        (),
        partial(number, _SOUND),
    ),
    Fact(
        "ops_journal_verified_seconds",
        "Seconds since the last verification that found nothing; -1 before the first.",
        "gauge",
        (),
        partial(number, _VERIFIED_AGE),
    ),
)
