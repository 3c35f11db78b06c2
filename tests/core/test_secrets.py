"""Stored secrets: encrypted at rest, silent in the log, and brought under a new key without anybody noticing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import override_settings

from opsconsole.core.actors import SYSTEM, Actor, shell_actor
from opsconsole.core.errors import Denied
from opsconsole.core.fields import Secret
from opsconsole.core.rotation import KeyLost, encrypted_columns
from opsconsole.identity.keys import rotate_field_keys
from opsconsole.journal.models import Entry
from opsconsole.treasury.models import Bank
from tests.world import TESTER, World, build

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> World:
    """Two banks, one of them with a secret."""
    return build(base_url="http://127.0.0.1:9", secret="hunter2", balance=7, actor=TESTER)


@pytest.fixture
def stored(superuser: psycopg.Connection[Any]) -> Callable[[], str]:
    """What the column really holds."""
    return lambda: str(superuser.execute("select secret from treasury_banks where code = 'sandbox'").fetchone()[0])


def read_secret() -> str:
    """The secret as the application reads it."""
    return str.__str__(Bank.objects.get(code="sandbox").secret)


def test_at_rest_it_is_a_token(world: World, stored: Callable[[], str]) -> None:
    assert "hunter2" not in stored()
    assert Fernet(settings.FIELD_ENCRYPTION_KEYS[0]).decrypt(stored().encode()) == b"hunter2"
    assert read_secret() == "hunter2"
    assert str.__str__(Bank.objects.get(code="filebank").secret) == ""


def test_it_does_not_show_itself(world: World, caplog: pytest.LogCaptureFixture) -> None:
    secret = Bank.objects.get(code="sandbox").secret
    assert isinstance(secret, Secret)
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%r %s %s", secret, f"{secret}", [secret])
    assert "hunter2" not in caplog.text
    assert secret.reveal() == "hunter2"


def test_without_its_key_it_says_which_column(world: World) -> None:
    with (
        override_settings(FIELD_ENCRYPTION_KEYS=[Fernet.generate_key().decode()]),
        pytest.raises(ImproperlyConfigured, match=r"Bank\.secret"),
    ):
        Bank.objects.get(code="sandbox")


def test_a_new_key_in_front_then_the_old_one_goes(
    world: World, stored: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = settings.FIELD_ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    before = stored()
    with override_settings(FIELD_ENCRYPTION_KEYS=[new, old]):
        assert read_secret() == "hunter2"
        call_command("rotate_field_keys")
        assert "treasury_banks.secret: 1 of 1 encrypted anew" in capsys.readouterr().out
        assert stored() != before
        again = stored()
        call_command("rotate_field_keys")
        assert "0 of 1" in capsys.readouterr().out
        assert stored() == again
    with override_settings(FIELD_ENCRYPTION_KEYS=[new]):
        assert read_secret() == "hunter2"
    with pytest.raises(ImproperlyConfigured):
        read_secret()
    entries = Entry.objects.filter(verb="secrets.rotated").order_by("seq")
    assert [entry.content["after"]["treasury_banks.secret"] for entry in entries] == [
        {"rotated": 1, "secrets": 1},
        {"rotated": 0, "secrets": 1},
    ]
    assert not Entry.objects.filter(verb="direct_sql").exists()
    assert "hunter2" not in str([entry.content for entry in Entry.objects.all()])


def test_a_secret_whose_key_is_lost_stops_it_whole(world: World, stored: Callable[[], str]) -> None:
    before = stored()
    keys = [Fernet.generate_key().decode(), Fernet.generate_key().decode()]
    with override_settings(FIELD_ENCRYPTION_KEYS=keys), pytest.raises(KeyLost, match=r"treasury_banks\.secret"):
        rotate_field_keys(actor=SYSTEM("test"))
    assert stored() == before
    assert not Entry.objects.filter(verb="secrets.rotated").exists()


def test_only_who_sits_at_the_server_may(world: World, person: Callable[..., Actor]) -> None:
    for role in ("pay_admin", "admin"):
        with pytest.raises(Denied):
            rotate_field_keys(actor=person(role))
    assert "treasury_banks.secret" in rotate_field_keys(actor=shell_actor())


def test_every_column_of_secrets_is_known() -> None:
    assert "treasury_banks.secret" in [str(column) for column in encrypted_columns()]
