"""The API and the pages of backups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from opsconsole.backups.models import Backup
from opsconsole.core.actors import Actor
from opsconsole.core.models import OutboxEvent
from opsconsole.monitoring.jobs import hear_of_backups
from opsconsole.monitoring.models import Incident
from tests.backups.world import DUMP, failed_backup, verified_backup

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/backups/backup/"


@pytest.fixture
def browse(person: Callable[..., Actor]) -> Callable[[str], Client]:
    """A browser in which somebody is logged in."""

    def login(name: str) -> Client:
        client = Client()
        user = person(name).user
        assert user is not None
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return login


def test_a_backup_is_asked_for_and_looked_at(api: Callable[..., APIClient]) -> None:
    ops = api("ops")
    asked = ops.post("/api/backups", {"reason": "before the upgrade"}, HTTP_IDEMPOTENCY_KEY="b-1")
    assert asked.status_code == 202, asked.json()
    told = asked.json()
    assert (told["status"], told["asked_by"], told["reason"]) == ("queued", "ops", "before the upgrade")
    again = ops.post("/api/backups", {"reason": "before the upgrade"}, HTTP_IDEMPOTENCY_KEY="b-1")
    assert (again.status_code, again.json()["id"]) == (202, told["id"])
    assert Backup.objects.count() == 1
    other = api("admin").post("/api/backups")
    assert (other.status_code, other.json()["code"], other.json()["backup"]) == (409, "backup_under_way", told["id"])
    for name, status in (("finance_ops", 403), ("auditor", 403)):
        assert api(name).post("/api/backups").status_code == status
    assert Backup.objects.count() == 1
    seen = api("auditor").get(f"/api/backups/{told['id']}")
    assert (seen.status_code, seen.json()) == (200, told)
    assert api("finance_ops").get(f"/api/backups/{told['id']}").json()["code"] == "backup_not_found"


def test_what_is_told_of_one_that_is_good(api: Callable[..., APIClient], person: Callable[..., Actor]) -> None:
    failed_backup(person("ops"))
    verified_backup(person("ops"))
    listed = api("dev").get("/api/backups?status=verified").json()["results"]
    assert [(one["status"], one["tables"], one["rows"]) for one in listed] == [("verified", 3, 11_400_012)]
    one = api("dev").get(f"/api/backups/{listed[0]['id']}").json()
    assert (one["counts"], one["figures"]) == (DUMP.census.counts, DUMP.census.figures)
    assert one["file_name"].startswith("molam_loyalty_backup_")
    assert len(api("dev").get("/api/backups").json()["results"]) == 2


def test_the_button_and_the_pages(browse: Callable[[str], Client], person: Callable[..., Actor]) -> None:
    ops = browse("ops")
    form = ops.get(f"{LIST}make/")
    key = form.context["form"].initial["key"]
    pressed = ops.post(f"{LIST}make/", {"key": key, "reason": "tonight"})
    assert pressed.status_code == 302
    backup = Backup.objects.get()
    assert (backup.status, backup.reason, backup.asked_by) == ("queued", "tonight", "ops")
    page = ops.get(pressed["Location"]).content.decode()
    assert "It waits for a worker" in page
    assert f'data-live="{LIST}{backup.pk}/progress/"' in page
    progress = ops.get(f"{LIST}{backup.pk}/progress/")
    assert (progress.status_code, progress["Ops-Live"]) == (200, "yes")
    refused = ops.post(f"{LIST}make/", {"key": "6f0e8a51-94f5-4e4b-9d4b-2b4d2a3f3c1d", "reason": ""})
    assert (refused.status_code, Backup.objects.count()) == (409, 1)
    assert "A backup is under way already, asked for by ops." in refused.content.decode()
    assert browse("auditor").get(f"{LIST}make/").status_code == 403
    assert browse("finance_ops").get(LIST).status_code == 403


def test_the_page_of_a_good_one_and_of_a_failed_one(
    browse: Callable[[str], Client], person: Callable[..., Actor]
) -> None:
    good, bad = verified_backup(person("ops")), failed_backup(person("ops"))
    auditor = browse("auditor")
    page = auditor.get(f"{LIST}{good.pk}/change/").content.decode()
    for said in ("every table, row and sum", "10,400,000", "123,456,789", good.sha256, "700.0"):
        assert said in page, said
    assert auditor.get(f"{LIST}{good.pk}/progress/")["Ops-Live"] == "no"
    page = auditor.get(f"{LIST}{bad.pk}/change/").content.decode()
    assert "No space left on device" in page
    assert "It is no backup" in page
    assert "data-copy" not in page.split("Journal")[0].split("File")[-1]  # what has no file names none
    listed = auditor.get(LIST).content.decode().replace("<wbr>", "")  # where a narrow column breaks a name
    assert good.file_name in listed


def test_a_failed_one_opens_an_incident(person: Callable[..., Actor]) -> None:
    bad = failed_backup(person("ops"))
    event = OutboxEvent.objects.get(topic="backup.failed")
    hear_of_backups(event)
    hear_of_backups(event)
    incident = Incident.objects.get()
    assert (incident.subject_kind, incident.subject_id) == ("ops_backups", str(bad.pk))
    assert incident.title == f"The backup {bad.file_name} failed"


def test_the_operator_may_read_them_and_what_they_change_is_journalled(
    connect_as: Callable[[str], Any], person: Callable[..., Actor]
) -> None:
    from opsconsole.journal.models import Entry

    verified_backup(person("ops"))
    psql = connect_as("operator")
    assert psql.execute("select status from ops_backups").fetchall() == [("verified",)]
    psql.execute("update ops_backups set reason = 'other'")
    assert Entry.objects.filter(verb="direct_sql", subject_kind="ops_backups").count() == 1
