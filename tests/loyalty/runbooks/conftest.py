"""A shell beside a console that is served, with people who have tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.identity.services import issue_token
from tests.api.conftest import console_environment, own_redis, shared_web, web
from tests.api.servers import Web
from tests.conftest import dsn_as, superuser_dsn
from tests.loyalty.campaigns.conftest import desk
from tests.loyalty.runbooks.shell import Shell

__all__ = ["console_environment", "desk", "own_redis", "shared_web", "web"]


@pytest.fixture
def shell(transactional_db: None, tmp_path: Path) -> Shell:
    """bash, for whoever has psql."""
    return _shell(tmp_path)


@pytest.fixture
def served(web: Web, tmp_path: Path) -> Shell:
    """bash, for whoever has psql and curl; the console is served."""
    return _shell(tmp_path, web)


def _shell(folder: Path, web: Web | None = None) -> Shell:
    database = connection.settings_dict["NAME"]
    return Shell(
        folder,
        operator=dsn_as(settings.DB_OPERATOR_ROLE, direct=True),
        superuser=superuser_dsn(database),
        database=database,
        console=web.url if web else "",
    )


@pytest.fixture
def token(person: Callable[..., Actor]) -> Callable[..., str]:
    """A token for a person of these roles, as `manage.py issue_token` makes it."""

    def make(name: str, *roles: str) -> str:
        person(name, *roles)
        return issue_token(username=name, expiry=None, actor=SYSTEM("test"))

    return make
