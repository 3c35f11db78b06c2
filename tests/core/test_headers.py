"""What every answer says to a browser: no script but ours, no frame, no referrer; cookies that stay here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from opsconsole.core.actors import Actor
from tests.architecture.source import ROOT

pytestmark = pytest.mark.django_db


def policy_of(response: Any) -> dict[str, list[str]]:
    """The directives of the Content-Security-Policy."""
    directives = [part.split() for part in response.headers["Content-Security-Policy"].split(";")]
    return {name: values for name, *values in directives}


@pytest.fixture
def inside(person: Callable[..., Actor]) -> Client:
    client = Client()
    person("auditor")
    client.post("/admin/login/", {"username": "auditor", "password": "auditor-password-1"})
    return client


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/login/", "/admin/second-factor/", "/api/docs", "/api/schema", "/x"]
)
def test_no_script_but_our_files(inside: Client, path: str) -> None:
    policy = policy_of(inside.get(path))
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'", "'unsafe-eval'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["form-action"] == policy["connect-src"] == policy["font-src"] == ["'self'"]
    assert not [value for values in policy.values() for value in values if value == "*" or "://" in value]


@pytest.mark.parametrize("path", ["/api/ops/plans", "/api/programs", "/api/nothing-here"])
def test_a_door_knows_no_cookie_and_a_browser_that_shows_its_answer_loads_nothing(inside: Client, path: str) -> None:
    answer = inside.get(path)
    assert answer.status_code in (401, 404)
    assert policy_of(answer) == {"default-src": ["'none'"], "frame-ancestors": ["'none'"]}
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not answer.cookies


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", "/admin/journal/entry/", "/api/docs"])
def test_no_page_has_a_script_in_it(inside: Client, path: str) -> None:
    page = Client() if path == "/admin/login/" else inside
    text = page.get(path).content.decode().lower()
    scripts = text.split("<script")[1:]
    assert scripts
    assert [script for script in scripts if " src=" not in script.partition(">")[0]] == []
    assert " onclick=" not in text
    assert "javascript:" not in text


def test_headers(inside: Client) -> None:
    headers = inside.get("/admin/").headers
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "no-store" in headers["Cache-Control"]


def test_cookies(inside: Client) -> None:
    session, csrf = inside.cookies["sessionid"], inside.cookies["csrftoken"]
    assert session["httponly"]
    assert csrf["httponly"]
    assert session["samesite"] == csrf["samesite"] == "Lax"
    assert session["max-age"] == 12 * 3600


def test_the_api_knows_no_cookie(inside: Client) -> None:
    assert inside.get("/api/ops/plans").status_code == 401


def test_a_form_from_elsewhere_is_refused(person: Callable[..., Actor]) -> None:
    person("ops")
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/admin/login/", {"username": "ops", "password": "ops-password-1"})
    assert answer.status_code == 403
    for path in ("/admin/login/code/", "/admin/login/enrol/"):
        assert strict.post(path, {"code": "123456"}).status_code == 403


PRODUCTION = {
    "OPS_ENV": "production",
    "ALLOWED_HOSTS": "console.example.com",
    "DATABASE_URL": "postgresql://ops_app:x@db.example.com/molam_connect",
    "DATABASE_OWNER_URL": "postgresql://ops_owner:x@db.example.com/molam_connect",
    "REDIS_URL": "redis://redis.example.com/0",
    "SECRET_KEY": "headers-test-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJ",
    "FIELD_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "JOURNAL_SIGNING_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
}
NAMES = (
    "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "SECURE_HSTS_SECONDS",
    "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_SSL_REDIRECT", "REQUIRE_SECOND_FACTOR", "WEBAUTHN_RP_ID",
    "WEBAUTHN_ORIGINS",
)  # fmt: skip


def in_production(**changed: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import json; from opsconsole import settings;"
        f" print(json.dumps({{name: getattr(settings, name) for name in {NAMES!r}}}))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "DATABASE_"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, **PRODUCTION, "OPS_VAR": str(django_settings.VAR), **changed},
        capture_output=True,
        text=True,
        check=False,
    )


def test_production() -> None:
    ended = in_production()
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SESSION_COOKIE_NAME": "__Host-session",
        "CSRF_COOKIE_NAME": "__Host-csrf",
        "SECURE_HSTS_SECONDS": 31_536_000,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "SECURE_SSL_REDIRECT": True,
        "REQUIRE_SECOND_FACTOR": "everybody",
        "WEBAUTHN_RP_ID": "console.example.com",
        "WEBAUTHN_ORIGINS": ["https://console.example.com"],
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"OPS_REQUIRE_SECOND_FACTOR": "nobody"}, "OPS_REQUIRE_SECOND_FACTOR must be everybody in production."),
        ({"OPS_REQUIRE_SECOND_FACTOR": "some"}, "must be everybody, deciders or nobody"),
        ({"ALLOWED_HOSTS": "*"}, "WEBAUTHN_RP_ID must be given"),
    ],
)
def test_production_starts_with_nothing_less(changed: dict[str, str], message: str) -> None:
    ended = in_production(**changed)
    assert ended.returncode == 1
    assert message in ended.stderr
