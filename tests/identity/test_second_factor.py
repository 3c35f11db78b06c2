"""Authenticator apps and recovery codes: what counts once, who takes one away, what the journal says of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from opsconsole.core.actors import Actor
from opsconsole.core.errors import Denied
from opsconsole.core.models import OutboxEvent
from opsconsole.identity import second_factor
from opsconsole.identity.errors import NoSecondFactor, NotByOneself
from opsconsole.identity.models import RecoveryCode, SecondFactor
from opsconsole.journal.models import Entry
from tests.identity.phone import CODE, ENROL, HERE, OWN, App, Clock, app, clock, give_password, ops, verbs

__all__ = ["app", "clock", "ops"]
pytestmark = pytest.mark.django_db


class TestCodes:
    def test_a_code_counts_once(self, app: App) -> None:
        code = app.code()
        assert app.verify(code)
        assert not app.verify(code)
        assert app.verify(app.code(second_factor.PERIOD))
        assert not app.verify(app.code()), "older than one that counted"

    def test_clocks_may_differ_by_a_period(self, app: App, clock: Clock) -> None:
        clock.forward(90)
        assert not app.verify(app.code(-60))
        assert not app.verify(app.code(60))
        assert app.verify(app.code(-30))
        assert app.verify(app.code(30))

    def test_the_code_of_enrolling_is_used_up(self, ops: Actor, clock: Clock) -> None:
        app = App(ops, clock)
        clock.forward(-second_factor.PERIOD)
        assert not app.verify(app.code())

    def test_codes_are_those_of_the_standard(self) -> None:
        """RFC 6238, appendix B, SHA-1: the last six of its eight digits."""
        secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        for seconds, code in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
            at = datetime.fromtimestamp(seconds, tz=timezone.get_default_timezone())
            assert second_factor.code_at(secret, at) == code

    @pytest.mark.parametrize("code", ["", "000000", "１２３４５６", "12345", "x" * 40, "aaaa-aaaa-aaaa-aaaa"])
    def test_a_wrong_code_is_journalled(self, app: App, code: str) -> None:
        assert not app.verify(code)
        assert verbs()[-1] == "second_factor.failed"
        assert code == "" or code not in str(Entry.objects.latest("seq").body)

    def test_a_recovery_code_counts_once(self, app: App) -> None:
        first, second, *_ = app.recovery
        assert app.verify(f" {first.upper()} ")
        assert not app.verify(first)
        assert app.verify(second.replace("-", ""))
        entry = Entry.objects.filter(verb="second_factor.recovered").latest("seq")
        assert entry.content["after"]["codes_left"] == 8
        assert OutboxEvent.objects.filter(topic="second_factor.recovered").count() == 2

    def test_what_is_stored_opens_nothing(self, app: App) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select string_agg(f::text, '') from identity_second_factors f")
            stored = cursor.fetchone()[0]
            cursor.execute("select string_agg(c::text, '') from identity_recovery_codes c")
            stored += cursor.fetchone()[0]
        said = "".join(str(entry.body) for entry in Entry.objects.all())
        for secret in (app.secret, *app.recovery, *(code.replace("-", "") for code in app.recovery)):
            assert secret.lower() not in stored.lower()
            assert secret.lower() not in said.lower()
        assert len(set(app.recovery)) == second_factor.RECOVERY_CODES

    @pytest.mark.django_db(transaction=True)
    def test_pasted_changes_are_journalled_without_the_secret(self, app: App) -> None:
        with connection.cursor() as cursor:
            cursor.execute("update identity_second_factors set secret = 'mine', last_step = 0")
        entry = Entry.objects.latest("seq")
        assert entry.verb == "direct_sql"
        assert entry.content["after"]["secret"] == "(hidden)"


class TestReplacing:
    def test_the_old_app_has_to_agree(self, app: App, clock: Clock, ops: Actor) -> None:
        secret = second_factor.new_secret()

        def enrol(current: str) -> list[str] | None:
            code = second_factor.code_at(secret, clock.now)
            return second_factor.enrol(secret=secret, code=code, current=current, address=HERE, actor=ops)

        old = SecondFactor.objects.get()
        assert enrol("") is None
        assert enrol("123456") is None
        assert SecondFactor.objects.get() == old
        assert enrol(app.code()) is not None
        assert SecondFactor.objects.get() != old
        assert not app.verify(app.recovery[0]), "they went with the old app"

    def test_new_recovery_codes_end_the_old(self, app: App, ops: Actor) -> None:
        assert second_factor.renew_codes(code="000000", address=HERE, actor=ops) is None
        assert RecoveryCode.objects.count() == 10
        fresh = second_factor.renew_codes(code=app.code(), address=HERE, actor=ops)
        assert fresh is not None
        assert not app.verify(app.recovery[0])
        assert app.verify(fresh[0])
        assert "second_factor.codes_renewed" in verbs()

    def test_nobody_without_one(self, ops: Actor) -> None:
        for call in (second_factor.verify, second_factor.renew_codes):
            with pytest.raises(NoSecondFactor):
                call(code="123456", address=HERE, actor=ops)


class TestResetting:
    def test_an_administrator_takes_it_away_at_once(self, app: App, person: Callable[..., Actor]) -> None:
        admin = person("admin")
        second_factor.reset_second_factor(username="ops", reason="phone in the river", actor=admin)
        assert not SecondFactor.objects.exists()
        assert not RecoveryCode.objects.exists()
        entry = Entry.objects.latest("seq")
        assert (entry.verb, entry.actor_name) == ("second_factor.reset", "admin")
        assert entry.content["reason"] == "phone in the river"
        event = OutboxEvent.objects.get(topic="second_factor.reset")
        assert event.data.items() >= {"username": "ops", "by": "admin", "reason": "phone in the river"}.items()

    def test_not_ones_own(self, person: Callable[..., Actor], clock: Clock) -> None:
        admin = person("admin")
        App(admin, clock)
        with pytest.raises(NotByOneself):
            second_factor.reset_second_factor(username="admin", reason="lost", actor=admin)
        assert SecondFactor.objects.exists()

    def test_nobody_else_may(self, app: App, person: Callable[..., Actor]) -> None:
        for name in ("pay_admin", "auditor", "ops"):
            with pytest.raises(Denied):
                second_factor.reset_second_factor(username="ops", reason="lost", actor=person(name))
        assert SecondFactor.objects.exists()

    def test_the_command(self, app: App, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            call_command("reset_second_factor", "ops", "--reason", " ")
        assert "Say why" in capsys.readouterr().err
        call_command("reset_second_factor", "ops", "--reason", "phone lost")
        assert not SecondFactor.objects.exists()
        assert Entry.objects.latest("seq").actor_name.startswith("shell:")
        with pytest.raises(SystemExit):
            call_command("reset_second_factor", "ops", "--reason", "phone lost")
        assert "There is no second factor of ops" in capsys.readouterr().err

    def test_an_open_session_ends_with_it(self, app: App, person: Callable[..., Actor]) -> None:
        client = Client()
        give_password(client)
        client.post(CODE, {"code": app.code()})
        assert client.get(OWN).status_code == 200
        second_factor.reset_second_factor(username="ops", reason="stolen", actor=person("admin"))
        App(app.actor, app.clock)  # somebody sets up another: the session was opened with the first
        assert client.get(OWN).status_code == 302


class TestOwnPage:
    def test_setting_up_of_ones_own_accord(self, ops: Actor, clock: Clock) -> None:
        client = Client()
        give_password(client)
        assert b"by your password alone" in client.get(OWN).content
        secret = client.get(ENROL).context["secret"].replace(" ", "")
        done = client.post(ENROL, {"code": second_factor.code_at(secret, clock.now)})
        assert done.status_code == 200
        assert client.get(OWN).status_code == 200, "the session goes on"
        clock.forward()
        renewed = client.post(OWN, {"code": second_factor.code_at(secret, clock.now)})
        assert len(renewed.context["codes"]) == 10
        assert client.post(OWN, {"code": "000000"}).status_code == 400

    def test_not_for_strangers(self) -> None:
        assert Client().get(OWN).status_code == 302


class TestAdminPages:
    def test_who_has_one_and_taking_it_away(self, app: App, person: Callable[..., Actor]) -> None:
        factor = SecondFactor.objects.get()
        url = f"/admin/identity/secondfactor/{factor.pk}/"
        seen = {}
        for name in ("admin", "auditor", "pay_admin"):
            client = Client()
            client.force_login(person(name).user, "django.contrib.auth.backends.ModelBackend")
            seen[name] = (
                client.get("/admin/identity/secondfactor/").status_code,
                client.get(f"{url}change/").status_code,
                client.get(f"{url}reset/").status_code,
            )
            page = client.get(f"{url}change/").content.decode()
            assert app.secret not in page
        assert seen == {"admin": (200, 200, 200), "auditor": (200, 200, 403), "pay_admin": (403, 403, 403)}
        client = Client()
        client.force_login(person("admin").user, "django.contrib.auth.backends.ModelBackend")
        form = client.get(f"{url}reset/").context["form"]
        sent = {"key": form.initial["key"], "typed": "ops", "reason": "lost"}
        assert client.post(f"{url}reset/", {**sent, "typed": "somebody"}).status_code == 400
        assert SecondFactor.objects.exists()
        assert client.post(f"{url}reset/", sent).status_code == 302
        assert not SecondFactor.objects.exists()
