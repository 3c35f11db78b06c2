"""The pages: who sees them, what is live on them, what leads on and what says why it does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from lxml import html

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.models import User
from opsconsole.core.operations import operation
from opsconsole.core.roles import ROLES
from opsconsole.monitoring.models import Alert, Incident
from opsconsole.runbooks.admin import parts
from opsconsole.runbooks.domains import Domain
from tests.admin.conftest import contents
from tests.runbooks.conftest import ECHO, SLEEP, USER_COUNT, USERS, WHO, WORD

pytestmark = pytest.mark.django_db

SHELF, ALERTS = "/admin/runbooks/", "/admin/runbooks/alerts/"
PAGE = "/admin/runbooks/lamps/"
FRENCH = {"HTTP_ACCEPT_LANGUAGE": "fr"}


def said(client: Client, url: str = PAGE, status: int = 200, **typed: Any) -> str:
    """What the page says."""
    answer = client.get(url, typed)
    assert answer.status_code == status
    return answer.content.decode()


def part(page: str, id: str) -> Any:
    """A live part of a page."""
    return html.fromstring(page).get_element_by_id(id)


def words(element: Any) -> str:
    return " ".join(element.text_content().split())


def rows(page: str, id: str) -> list[list[str]]:
    """The answer in a part."""
    return [[words(cell) for cell in row.xpath("./td/div")] for row in part(page, id).xpath(".//tbody/tr")]


def test_every_role_reads_them_and_nobody_else(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    readers, stranger = {role: browse(role) for role in ROLES}, browse("newcomer")
    for role, client in readers.items():
        assert client.get(PAGE).status_code == 200, role
    for url in (SHELF, ALERTS, PAGE, f"{ALERTS}LampsOut/"):
        assert readers["trader"].get(url).status_code == 200, url
        assert readers["trader"].post(url).status_code == 405
        assert stranger.get(url).status_code == 403
        assert Client().get(url)["Location"].startswith(reverse("admin:login"))


def test_what_is_not_there(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    client = browse("auditor")
    for url in (f"{SHELF}nothing/", f"{ALERTS}Nothing/", f"{SHELF}%00/"):
        assert client.get(url).status_code == 404


def test_the_menu_and_the_palette_lead_there(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    reader, stranger = browse("trader"), browse("newcomer")
    assert f'href="{SHELF}"' in said(reader, "/admin/")
    assert f'href="{SHELF}"' not in said(stranger, "/admin/")
    assert PAGE in said(reader, "/admin/search/", s="lampsout")
    assert PAGE not in said(stranger, "/admin/search/", s="lampsout")


def test_the_shelf_is_searched(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    client = browse("dev")
    assert "The lamps are out" in said(client, SHELF)
    assert "Lamps" in said(client, SHELF)
    for found in ("LAMPSOUT", "dark lamps", "light them"):
        assert PAGE in said(client, SHELF, q=found)
    for nothing in ("sun", "\x00", "<script>"):
        page = said(client, SHELF, q=nothing)
        assert PAGE not in page or nothing == "\x00"
        assert "<script>" not in page


def test_alerts(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    client = browse("dev")
    assert "No lamp burns." in said(client, ALERTS)
    assert PAGE in said(client, f"{ALERTS}LampsOut/")
    assert f"{ALERTS}LampsOut/" in said(client)


def test_nothing_is_asked_until_somebody_asks(
    shelf: Callable[..., Domain], browse: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts.running, "run", None)  # would not survive being called
    page = said(browse("auditor"))
    assert "<table" not in words(part(page, "diagnostic-users"))
    assert part(page, "diagnostic-users").xpath(".//input[@name='word']/@value") == ["lamp"]
    assert part(page, "diagnostic-series").xpath(".//input[@name='count']/@value") == ["3"]


def test_an_answer(shelf: Callable[..., Domain], browse: Callable[..., Client], person: Callable[..., Actor]) -> None:
    lamp = person("lamplighter").user
    page = said(browse("auditor"), run="diagnostic-users", word="lamp")
    assert [row[1] for row in rows(page, "diagnostic-users")] == ["lamplighter"]
    asked = part(page, "diagnostic-users")
    assert asked.xpath(".//tbody//a/@href") == [f"/admin/core/user/{lamp.pk}/change/"]
    assert re.search(r"1 row in \d+ ms\.", words(asked))
    assert "username like 'lamp' || '%'" in asked.xpath(".//pre")[0].text_content()
    assert part(page, "diagnostic-echo").xpath(".//input[@name='word']/@value") == ["lamp"]
    assert "Nobody is called that." in said(browse("auditor"), run="diagnostic-users", word="zz")


def test_what_was_typed_goes_along(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    page = said(browse("auditor"), run="diagnostic-echo", word="a&b", count="5", other="x")
    kept = part(page, "diagnostic-echo").xpath(".//input[@type='hidden']")
    assert {one.name: one.value for one in kept} == {"run": "diagnostic-echo", "count": "5", "word": "a&b"}
    assert part(page, "diagnostic-echo").xpath(".//input[not(@type='hidden')]") == []  # it is said above
    assert part(said(browse("auditor"), word=""), "diagnostic-echo").xpath(".//label")
    assert rows(page, "diagnostic-echo") == [["a&b"]]


@pytest.mark.parametrize("typed", ["<script>alert(1)</script>", "'\"><img src=x>", "{{ 7 }}", "a\x00b", "é" * 300])
def test_what_is_typed_is_never_markup(shelf: Callable[..., Domain], browse: Callable[..., Client], typed: str) -> None:
    page = said(browse("auditor"), run="diagnostic-echo", word=typed, count=typed, who=typed)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "{{ 7 }}" not in typed or rows(page, "diagnostic-echo") == [["{{ 7 }}"]]


def test_many_rows_are_cut_and_say_so(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    page = said(browse("auditor"), run="diagnostic-series", count="1000")
    assert len(rows(page, "diagnostic-series")) == 200
    assert "These are the first 200; there are more." in page


def test_what_is_not_said_yet_is_no_mistake(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    about = part(said(browse("auditor"), word="x", who=""), "about")
    assert "required" not in words(about)
    assert "valid UUID" in words(part(said(browse("auditor"), who="7"), "about"))


def test_wrong_values_are_told_at_their_field(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    page = said(browse("auditor"), run="diagnostic-series", count="many")
    assert "Enter a whole number." in words(part(page, "diagnostic-series"))
    assert rows(page, "diagnostic-series") == []


def test_one_that_is_too_slow_leaves_the_page_standing(
    shelf: Callable[..., Domain], browse: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = parts.running.run
    monkeypatch.setattr(
        parts.running, "run", lambda *args, **more: run(*args, **more, patience=timedelta(milliseconds=50))
    )
    shelf(diagnostics=(replace(SLEEP, name="echo"), USERS, replace(ECHO, name="series")))
    page = said(browse("auditor"), run="diagnostic-echo")
    assert "had no answer after 0.05 seconds" in words(part(page, "diagnostic-echo"))
    assert part(page, "diagnostic-users") is not None


def test_whoever_may_not_sees_why_and_gets_nothing(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    page = said(browse("trader"), run="diagnostic-users", word="a", count="1")
    refused = part(page, "diagnostic-users")
    assert "trader lacks the permission core.view_user. Roles that have it: admin" in words(refused)
    assert refused.xpath(".//form") == []
    assert rows(page, "diagnostic-users") == []
    assert "lacks the permission core.view_user" in words(part(page, "check-users-there"))


def test_checks_are_answered_by_figures(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    client = browse("auditor")
    assert words(part(said(client, count="1"), "check-users-there")) == f"in order {User.objects.count()} users"
    assert words(part(said(client, count="999999"), "check-users-there")).startswith("not in order")
    assert "not known yet say first: count" in words(part(said(client, count=""), "check-users-there"))
    assert "not known yet Enter a whole number" not in words(part(said(client, count="1"), "check-users-there"))


def test_all_checks_share_the_time_of_one_question(
    shelf: Callable[..., Domain], browse: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = "select true as in_order, %(count)s as found, pg_sleep(0.6)::text as slept"
    checks = [replace(USER_COUNT, name=name, sql=slow) for name in ("one", "two", "three")]
    for language in ("en", "fr"):
        path = tmp_path / f"lamps.{language}.md"
        three = "- [ ] a ::check one\n- [ ] b ::check two\n- [ ] c ::check three"
        path.write_text(path.read_text().replace("- [ ] **", f"{three}\n- [ ] **"))
    shelf(checks=(*checks, USER_COUNT))
    monkeypatch.setattr(parts, "PATIENCE", timedelta(seconds=1))
    page = said(browse("auditor"), count="1")
    assert words(part(page, "check-one")).startswith("in order")
    assert "had no answer" in words(part(page, "check-two"))
    assert "not looked at: the checks before it took too long" in words(part(page, "check-three"))


# --- buttons ----------------------------------------------------------------------------------------------------------


def test_an_action_leads_to_its_form_filled_in(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    client = browse("ops")
    link = part(said(client, word="dark & cold"), "action-open-incident").xpath(".//a/@href")[0]
    assert link == "/admin/monitoring/incident/open/?title=dark+%26+cold"
    assert client.get(link).context["form"].initial["title"] == "dark & cold"


def test_an_action_says_why_not(
    shelf: Callable[..., Domain], browse: Callable[..., Client], person: Callable[..., Actor]
) -> None:
    someone = person("someone").user.pk

    def why(client: Client, id: str, **typed: Any) -> str:
        element = part(said(client, **typed), id)
        assert element.xpath(".//a[@data-leads-to]") == []
        assert element.xpath(".//button/@aria-disabled") == ["true"]
        return words(element.xpath(".//p")[0])

    admin, auditor, trader = browse("admin"), browse("auditor"), browse("trader")
    assert why(auditor, "action-open-incident") == "It has to be known first: word"
    assert "lacks the permission monitoring.handle_incident" in why(auditor, "action-open-incident", word="x")
    assert "You may not see incidents" in why(trader, "action-open-incident", word="x")
    assert "valid UUID" in why(admin, "action-leave", who="7")
    assert why(admin, "action-leave", who=uuid4()) == "There is nothing with these values, or nothing you may see."
    assert "You may not see channels" in why(trader, "action-channels")
    assert part(said(admin, who=someone), "action-leave").xpath(".//a/@href") == [
        f"/admin/core/user/{someone}/offboard/"
    ]
    _leave(name="someone", actor=SYSTEM("test"))
    assert why(admin, "action-leave", who=someone)  # the button's own reason


@operation
def _leave(*, name: str, actor: Actor) -> None:
    User.objects.filter(username=name).update(is_active=False)


def test_looking_changes_nothing(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    client = browse("auditor")
    before = contents()
    for run in ("diagnostic-users", "diagnostic-echo", "diagnostic-series"):
        said(client, run=run, word="a", count="2", who=uuid4())
    assert contents() == before


# --- languages --------------------------------------------------------------------------------------------------------


def test_in_french(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    page = browse("auditor").get(PAGE, **FRENCH).content.decode()
    for text in ("Les lampes sont éteintes", "Quand il fait nuit.", "Allumez-les", "Aucune lampe ne brûle."):
        assert text in page
    assert "Light them" not in page
    assert "Les lampes" in browse("auditor").get(f"{SHELF}?q=regarder", **FRENCH).content.decode()


def test_whom_to_call(shelf: Callable[..., Domain], browse: Callable[..., Client], settings: Any) -> None:
    page = said(browse("dev"))
    assert "Keeper" in page
    assert "0123" in page
    assert "OPS_ESCALATION_CONTACTS" in page
    settings.ESCALATION_CONTACTS = {"keeper": "+221 33 1"}
    page = said(browse("dev"))
    assert "+221 33 1" in page
    assert "OPS_ESCALATION_CONTACTS" not in page


def test_an_incident_leads_to_the_runbook_of_its_alert(
    shelf: Callable[..., Domain], browse: Callable[..., Client]
) -> None:
    incident = _fire(names=("LampsOut", "SomethingElse"), actor=SYSTEM("test"))
    page = said(browse("ops"), reverse("admin:monitoring_incident_change", args=[incident.pk]))
    assert f'href="{ALERTS}LampsOut/"' in page
    assert "SomethingElse" in page
    assert f'href="{ALERTS}SomethingElse/"' not in page


@operation
def _fire(*, names: tuple[str, ...], actor: Actor) -> Incident:
    incident = Incident.objects.create(key="dark", title="Dark", severity="warning", source="alert")
    for name in names:
        Alert.objects.create(incident=incident, fingerprint=name, name=name, starts_at=timezone.now())
    return incident


def test_choices_are_offered_once(shelf: Callable[..., Domain], browse: Callable[..., Client]) -> None:
    asking = replace(ECHO, parameters=[WHO, WORD], sql="select %(who)s::text || %(word)s as word")
    shelf(diagnostics=(asking, replace(asking, name="series"), USERS))
    page = html.fromstring(said(browse("auditor")))
    (offered,) = page.xpath("//datalist")
    assert [(one.get("value"), one.text) for one in offered.xpath("./option")] == [("0", "Ada")]
    assert page.xpath("//input[@name='who']/@list") == [offered.get("id")] * 3
