"""What keeps the journal going: the jobs, the commands beside the proofs, the metrics."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings
from rq import Queue

from opsconsole.core import metrics, queue
from opsconsole.core.actors import SYSTEM, shell_actor
from opsconsole.core.errors import Denied
from opsconsole.core.schedule import registered
from opsconsole.journal import jobs, keys, selectors, services
from opsconsole.journal.apps import check_keys
from opsconsole.journal.models import Checkpoint, Entry, Pending
from opsconsole.journal.verify import verify
from tests.journal.conftest import WRITER, seal_all, write_entries

pytestmark = pytest.mark.django_db(transaction=True)


def fact(name: str) -> float:
    (found,) = [one for one in metrics.registered() if one.name == name]
    ((labels, value),) = found.samples()
    assert labels == ()
    return value


def test_the_jobs_are_registered() -> None:
    every = {task.name: task.every for task in registered()}
    assert every["opsconsole.journal.jobs.seal_entries"] == timedelta(seconds=1)
    assert every["opsconsole.journal.jobs.wake_verification"] <= timedelta(hours=1)


def test_facts_of_an_empty_journal(empty_journal: None) -> None:
    assert fact("ops_journal_unsealed") == 0
    assert fact("ops_journal_unsealed_seconds") == 0
    assert fact("ops_journal_checkpoint_seconds") == 0
    assert fact("ops_journal_sound") == 0
    assert fact("ops_journal_verified_seconds") == -1


def test_facts_follow_what_happens(empty_journal: None, superuser: Any) -> None:
    write_entries(count=3, actor=WRITER)
    assert fact("ops_journal_unsealed") == 3
    assert 0 < fact("ops_journal_unsealed_seconds") < 60
    seal_all()
    assert fact("ops_journal_unsealed") == 0
    assert 0 < fact("ops_journal_checkpoint_seconds") < 60
    jobs.verify_journal()
    assert fact("ops_journal_sound") == 1
    assert 0 <= fact("ops_journal_verified_seconds") < 60
    superuser.execute("set session_replication_role = replica")
    assert superuser.execute("update journal_entries set verb = 'x' where verb = 'thing.changed'").rowcount == 3
    jobs.verify_journal()
    assert fact("ops_journal_sound") == 0


def test_the_last_check_is_the_newest_entry_of_its_kind(journal: Callable[..., list[str]], superuser: Any) -> None:
    assert selectors.last_check() is None
    journal(4)
    services.record_verification(outcome=verify(), actor=SYSTEM("verifier"))
    check = selectors.last_check()
    assert check is not None
    assert (check.sound, check.size) == (True, 4)
    assert selectors.last_checkpoint() == Checkpoint.objects.get(size=4)
    seal_all()
    superuser.execute("set session_replication_role = replica")
    assert superuser.execute("delete from journal_entries where verb = 'thing.changed'").rowcount == 4
    jobs.verify_journal()
    broken, sound = selectors.last_check(), selectors.last_check(sound_only=True)
    assert broken is not None
    assert not broken.sound
    assert sound == check


@pytest.fixture
def default_queue() -> Iterator[Queue]:
    """The queue itself; the jobs a test puts there are taken out again."""
    default = Queue("default", connection=queue.redis_connection())
    before = set(default.job_ids)
    yield default
    for job_id in set(default.job_ids) - before:
        default.remove(job_id)


def test_verification_is_asked_for_once_a_day(
    empty_journal: None, default_queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = default_queue.count
    jobs.wake_verification()
    assert default_queue.count == before + 1
    job = default_queue.fetch_job(default_queue.job_ids[-1])
    assert job is not None
    assert job.func is jobs.verify_journal
    job.func()
    jobs.wake_verification()
    assert default_queue.count == before + 1
    monkeypatch.setattr(jobs, "VERIFY_EVERY", timedelta(0))
    jobs.wake_verification()
    assert default_queue.count == before + 2


def test_who_may_record_a_verification(person: Any) -> None:
    outcome = verify()
    with pytest.raises(Denied):
        services.record_verification(outcome=outcome, actor=person("ops"))
    assert selectors.last_check() is None
    services.record_verification(outcome=outcome, actor=shell_actor())
    assert selectors.last_check() is not None


def test_seal_by_command(empty_journal: None, outside: Path) -> None:
    write_entries(count=3, actor=WRITER)
    out = io.StringIO()
    call_command("journal", "seal", stdout=out)
    assert out.getvalue().startswith("3 entries sealed, 1 checkpoints put outside")
    assert not Pending.objects.exists()
    assert len(list(outside.glob("*.txt"))) == 1


def test_key_by_command(settings: Any) -> None:
    retired = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    settings.JOURNAL_PUBLIC_KEYS = [retired]
    out = io.StringIO()
    call_command("journal", "key", stdout=out)
    assert out.getvalue().split() == [str(keys.signer().verifier), retired]
    assert settings.JOURNAL_SIGNING_KEY not in out.getvalue()


def test_entries_of_several_subjects() -> None:
    from opsconsole.journal.record import Subject

    write_entries(count=4, actor=WRITER)
    found = selectors.entries_of(Subject("thing", "1"), Subject("thing", "3"), Subject("other", "1"))
    assert [entry.subject_id for entry in found] == ["3", "1"]
    assert not selectors.entries_of().exists()
    assert Entry.objects.count() >= 4


def test_bad_keys_are_found_at_start_up(settings: Any) -> None:
    assert check_keys() == []
    for name, value in (
        ("JOURNAL_ORIGIN", "two words"),
        ("JOURNAL_ORIGIN", "a+b"),
        ("JOURNAL_ORIGIN", ""),
        ("JOURNAL_PUBLIC_KEYS", ["nonsense"]),
        ("JOURNAL_SIGNING_KEY", "AAAA"),
    ):
        with override_settings(**{name: value}):
            (error,) = check_keys()
            assert error.id == "journal.E001"


def test_the_walk_back_sees_every_checkpoint(journal: Callable[..., list[str]]) -> None:
    journal(420, batch=2)
    sizes = [size for size, _ in selectors.notes_newest_first()]
    assert sizes == list(range(420, 0, -2))
