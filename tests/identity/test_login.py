"""Logging in, step by step: password, code, enrolment where it is demanded, and too many attempts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from webauthn.helpers import base64url_to_bytes

from opsconsole.core.actors import Actor
from opsconsole.core.models import OutboxEvent, User
from opsconsole.identity import attempts, second_factor, sessions
from opsconsole.identity.errors import TooManyAttempts
from opsconsole.identity.jobs import tidy_logins
from opsconsole.identity.models import LoginAttempt
from opsconsole.journal.models import Entry
from tests.approvals.authenticator import Authenticator
from tests.approvals.test_passkeys import passkey_of
from tests.identity.phone import CODE, ENROL, HERE, LOGIN, OWN, App, Clock, app, clock, give_password, ops, verbs

__all__ = ["app", "clock", "ops"]
pytestmark = pytest.mark.django_db


class TestLoggingIn:
    def test_a_password_alone_where_nothing_more_is_asked(self, ops: Actor) -> None:
        client = Client()
        assert give_password(client, to="/admin/plans/plan/").url == "/admin/plans/plan/"
        assert client.get("/admin/").status_code == 200
        assert not LoginAttempt.objects.exists()
        assert verbs()[-1] == "user.logged_in"

    def test_without_a_next_page(self, ops: Actor) -> None:
        assert Client().post(LOGIN, {"username": "ops", "password": "ops-password-1"}).url == "/admin/"
        assert give_password(Client(), to="https://evil.example/").url == "/admin/"

    def test_the_password_is_not_enough_for_who_has_a_second_factor(self, app: App) -> None:
        client = Client()
        assert give_password(client, to="/admin/plans/plan/").url == CODE
        assert client.get("/admin/").status_code == 302
        assert "user.logged_in" not in verbs()
        wrong = client.post(CODE, {"code": "000000"})
        assert wrong.status_code == 400
        assert b"does not count" in wrong.content
        assert client.get("/admin/").status_code == 302
        assert client.post(CODE, {"code": app.code()}).url == "/admin/plans/plan/"
        assert client.get("/admin/").status_code == 200
        assert verbs()[-2:] == ["second_factor.failed", "user.logged_in"]

    def test_the_second_step_without_the_first(self, app: App) -> None:
        assert Client().get(CODE).url == LOGIN
        assert Client().post(CODE, {"code": app.code()}).url == LOGIN
        assert Client().get(ENROL).url == LOGIN

    def test_the_second_step_too_late_or_after_a_new_password(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        client = Client()
        give_password(client)
        user = User.objects.get(username="ops")
        user.set_password("another-password-1")
        user.save(update_fields=["password"])
        assert client.post(CODE, {"code": app.code()}).url == LOGIN
        give_password(client, password="another-password-1")
        now = sessions.time.time()
        monkeypatch.setattr(sessions.time, "time", lambda: now + 601)
        assert client.post(CODE, {"code": app.code()}).url == LOGIN

    def test_nobody_sets_up_another_between_the_steps(self, app: App) -> None:
        client = Client()
        give_password(client)
        assert client.get(ENROL).url == CODE

    def test_a_session_that_skipped_the_second_step_sees_nothing(self, app: App) -> None:
        client = Client()
        client.force_login(app.actor.user, "django.contrib.auth.backends.ModelBackend")
        assert client.get("/admin/").url.startswith(LOGIN)

    def test_who_has_no_desk_here(self, person: Callable[..., Actor]) -> None:
        user = person("ops").user
        user.is_staff = False
        user.save(update_fields=["is_staff"])
        answer = give_password(Client())
        assert answer.status_code == 200
        assert b"for a staff account" in answer.content
        assert "user.logged_in" not in verbs()

    def test_the_session_gets_another_name_at_each_step(self, app: App) -> None:
        client = Client()
        client.get(LOGIN)
        give_password(client)
        first = client.cookies["sessionid"].value
        client.post(CODE, {"code": app.code()})
        assert client.cookies["sessionid"].value != first

    def test_few_recovery_codes_are_told(self, app: App) -> None:
        for code in app.recovery[:7]:
            assert app.verify(code)
        client = Client()
        give_password(client)
        client.post(CODE, {"code": app.recovery[7]})
        assert b"You have 2 recovery codes left" in client.get("/admin/").content

    def test_a_passkey_stands_in_for_the_app(self, app: App) -> None:
        device = passkey_of(app.actor, Authenticator())
        client = Client()
        give_password(client)
        page = client.get(CODE)
        challenge = _challenge(page)
        answer = client.post(CODE, {"passkey": _json(device.get(b"something else"))})
        assert answer.status_code == 400
        challenge = _challenge(answer)
        given = _json(device.get(challenge))
        assert client.post(CODE, {"passkey": given}).url == "/admin/"
        again = Client()
        give_password(again)
        again.get(CODE)
        assert again.post(CODE, {"passkey": given}).status_code == 400, "each challenge is asked once"


class TestDemanded:
    @pytest.fixture(autouse=True)
    def of_everybody(self, settings: Any) -> None:
        settings.REQUIRE_SECOND_FACTOR = "everybody"

    def test_it_is_set_up_at_the_first_login(self, ops: Actor, clock: Clock) -> None:
        client = Client()
        assert give_password(client, to="/admin/plans/plan/").url == ENROL
        page = client.get(ENROL)
        assert b"<svg" in page.content
        secret = page.context["secret"].replace(" ", "")
        assert client.get(ENROL).context["secret"].replace(" ", "") == secret
        with connection.cursor() as cursor:
            cursor.execute("select session_data from django_session")
            kept = cursor.fetchone()[0]
        assert secret not in str(client.session.items())
        assert secret not in kept
        assert client.post(ENROL, {"code": "000000"}).status_code == 400
        done = client.post(ENROL, {"code": second_factor.code_at(secret, clock.now)})
        codes = re.findall(r'<code class="ops-code">(\S{19})</code>', done.content.decode())
        assert len(codes) == 10
        assert "no-store" in done.headers["Cache-Control"]
        assert client.get("/admin/").status_code == 200
        assert codes[0] not in client.get(OWN).content.decode()
        assert verbs()[-2:] == ["second_factor.enrolled", "user.logged_in"]

    def test_a_session_from_before_ends(self, ops: Actor, settings: Any) -> None:
        settings.REQUIRE_SECOND_FACTOR = "nobody"
        client = Client()
        give_password(client)
        assert client.get("/admin/").status_code == 200
        settings.REQUIRE_SECOND_FACTOR = "everybody"
        assert client.get("/admin/").status_code == 302

    def test_of_deciders(self, settings: Any, person: Callable[..., Actor]) -> None:
        settings.REQUIRE_SECOND_FACTOR = "deciders"
        for name, to in (("ops", ENROL), ("pay_admin", ENROL), ("auditor", "/admin/"), ("dev", "/admin/")):
            person(name)
            assert give_password(Client(), name).url == to, name


class TestThrottling:
    def test_a_person_from_one_place(self, ops: Actor) -> None:
        client = Client(REMOTE_ADDR=HERE)
        for _n in range(attempts.PER_PERSON_AND_ADDRESS):
            assert give_password(client, password="wrong").status_code == 200
        refused = give_password(client)
        assert refused.status_code == 429
        assert b"Too many attempts. Try again in 15 minutes." in refused.content
        assert give_password(client, "OPS", "ops-password-1").status_code == 429
        assert give_password(Client(REMOTE_ADDR="192.0.2.8")).status_code == 302, "elsewhere they get in"
        entry = Entry.objects.get(verb="login.throttled")
        assert (entry.subject_id, entry.content["after"]["address"]) == (str(ops.user.pk), HERE)
        assert OutboxEvent.objects.get(topic="login.throttled").data["username"] == "ops"

    def test_a_right_password_begins_anew(self, ops: Actor) -> None:
        client = Client(REMOTE_ADDR=HERE)
        for _round in range(2):
            for _n in range(attempts.PER_PERSON_AND_ADDRESS - 1):
                give_password(client, password="wrong")
            assert give_password(client).status_code == 302
        assert "login.throttled" in verbs(), "the last try that was allowed"

    def test_it_passes(self, ops: Actor) -> None:
        client = Client(REMOTE_ADDR=HERE)
        for _n in range(attempts.PER_PERSON_AND_ADDRESS):
            give_password(client, password="wrong")
        LoginAttempt.objects.update(at=timezone.now() - 2 * attempts.WHILE)
        assert give_password(client).status_code == 302

    def test_a_person_from_everywhere(self, ops: Actor) -> None:
        for number in range(attempts.PER_PERSON):
            attempts.try_password(username="ops", address=f"198.51.100.{number}", actor=attempts.LOGIN)
        with pytest.raises(TooManyAttempts):
            attempts.try_password(username="Ops", address=HERE, actor=attempts.LOGIN)

    def test_a_place_with_everybody(self) -> None:
        for number in range(attempts.PER_ADDRESS):
            attempts.try_password(username=f"user{number}", address=HERE, actor=attempts.LOGIN)
        with pytest.raises(TooManyAttempts):
            attempts.try_password(username="one-more", address=HERE, actor=attempts.LOGIN)
        assert Entry.objects.get(verb="login.throttled").subject_id == HERE

    def test_codes_cannot_be_guessed_by_giving_the_password_again(self, app: App) -> None:
        client = Client()
        for _n in range(attempts.CODES_PER_PERSON):
            give_password(client)
            assert client.post(CODE, {"code": "000000"}).status_code == 400
        give_password(client)
        refused = client.post(CODE, {"code": app.code()})
        assert refused.status_code == 429
        assert verbs().count("second_factor.failed") == attempts.CODES_PER_PERSON

    def test_old_tries_and_sessions_are_dropped(self, ops: Actor) -> None:
        attempts.try_password(username="ops", address=HERE, actor=attempts.LOGIN)
        client = Client()
        give_password(client)
        tidy_logins()
        assert LoginAttempt.objects.count() == 1
        assert client.get("/admin/").status_code == 200
        LoginAttempt.objects.update(at=timezone.now() - 2 * attempts.KEPT)
        with connection.cursor() as cursor:
            cursor.execute("update django_session set expire_date = now() - interval '1 second'")
        tidy_logins()
        assert not LoginAttempt.objects.exists()
        assert client.get("/admin/").status_code == 302

    @pytest.mark.parametrize(
        ("behind", "meta", "address"),
        [
            (False, {"REMOTE_ADDR": "192.0.2.1"}, "192.0.2.1"),
            (False, {"REMOTE_ADDR": "192.0.2.1:5123"}, "192.0.2.1"),
            (False, {"REMOTE_ADDR": "2001:db8::1"}, "2001:db8::1"),
            (False, {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "198.51.100.1"}, "192.0.2.1"),
            (True, {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "6.6.6.6, 198.51.100.1"}, "198.51.100.1"),
            (True, {"REMOTE_ADDR": "192.0.2.1"}, "192.0.2.1"),
        ],
    )
    def test_where_a_request_comes_from(self, rf: Any, settings: Any, behind: bool, meta: Any, address: str) -> None:
        settings.BEHIND_PROXY = behind
        assert attempts.address_of(rf.get("/", **meta)) == address


def _challenge(page: Any) -> bytes:
    return base64url_to_bytes(page.context["form"].fields["passkey"].widget.options["challenge"])


def _json(answer: dict[str, Any]) -> str:
    return json.dumps(answer)
