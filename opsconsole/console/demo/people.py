"""The demo users, named after their roles, and what they log in with."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

from opsconsole.core.actors import Actor
from opsconsole.core.models import User
from opsconsole.core.tokens import user_of_token
from opsconsole.identity.services import NewUser, ensure_users, issue_token, reset_password

ROLE_OF: Final = {
    "pay_admin": "pay_admin",
    "pay_admin2": "pay_admin",
    "finance_ops": "finance_ops",
    "finance_ops2": "finance_ops",
    "ops": "ops",
    "ops2": "ops",
    "auditor": "auditor",
    "ops_marketing": "ops_marketing",
    "ops_marketing2": "ops_marketing",
    "dev": "dev",
    "trader": "trader",
    "risk_manager": "risk_manager",
    "risk_manager2": "risk_manager",
    "admin": "admin",
    "admin2": "admin",
}

_WORDS: Final = (
    "amber anchor apple autumn badger bamboo basil beacon birch bramble breeze bridge candle canyon cedar cherry"
    " clover cobalt comet copper coral cotton crane crystal daisy delta ember falcon fern forest garnet ginger"
    " granite harbor hazel heron honey indigo island ivory jasmine juniper lagoon lantern lemon linen lotus maple"
    " marble meadow mint nectar olive onyx opal orchard osprey otter pebble pepper pine plum poppy prairie quartz"
    " quill raven reef river robin rowan saffron sage sand sequoia silver sparrow spruce stone summit sunset tern"
    " thistle thyme tulip velvet violet walnut willow winter wren zephyr"
)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a demo user logs in with: a password for the admin, a token for the API."""

    username: str
    role: str
    password: str
    token: str


def seed_people(*, actor: Actor) -> list[Credential]:
    """Have every demo user, a password that is on file, and a token that is valid; returns what is on file.

    Whoever has all that keeps it, so a second time is quick and logs nobody out.
    """
    on_file = {credential.username: credential for credential in read_credentials()}
    known = set(User.objects.filter(username__in=ROLE_OF).values_list("username", flat=True))
    passwords = {name: on_file[name].password if name in on_file else new_password() for name in ROLE_OF}
    ensure_users(
        users=[NewUser(name, passwords[name], (role,)) for name, role in ROLE_OF.items() if name not in known],
        actor=actor,
    )
    for name in known - on_file.keys():  # the file is gone, and with it what only it knew
        reset_password(username=name, password=passwords[name], actor=actor)
    credentials = [
        Credential(name, role, passwords[name], _token(name, on_file.get(name), actor=actor))
        for name, role in ROLE_OF.items()
    ]
    if credentials != list(on_file.values()):
        _write(credentials)
    return credentials


def read_credentials() -> list[Credential]:
    """What the demo users log in with; nothing before the first seeding."""
    path = credentials_file()
    return [Credential(**entry) for entry in json.loads(path.read_text())] if path.exists() else []


def credentials_file() -> Path:
    """Where that is kept, readable for the owner only."""
    return Path(settings.VAR) / "demo" / "credentials.json"


def new_password() -> str:
    """Three words and a number, easy to read out: some 34 bits."""
    return "-".join([*(secrets.choice(_WORDS.split()) for _ in range(3)), str(secrets.randbelow(9000) + 1000)])


def _token(name: str, credential: Credential | None, *, actor: Actor) -> str:
    if credential is not None:
        owner = user_of_token(credential.token)
        if owner is not None and owner.username == name:
            return credential.token
    return issue_token(username=name, expiry=None, actor=actor)


def _write(credentials: list[Credential]) -> None:
    path = credentials_file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump([asdict(credential) for credential in credentials], file, indent=2)
    fresh.replace(path)
