"""Alertmanager's notifications: an incident for each trouble, once, and what its token may not do."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from opsconsole.core.actors import SYSTEM
from opsconsole.core.models import OutboxEvent
from opsconsole.journal.models import Entry
from opsconsole.monitoring.alertmanager import read_notification
from opsconsole.monitoring.errors import NotificationInvalid
from opsconsole.monitoring.models import Alert, Incident
from opsconsole.monitoring.services import alerts, incidents

FIRING: dict[str, Any] = {
    "version": "4",
    "groupKey": '{}:{alertname="OpsPlanFailed"}',
    "status": "firing",
    "commonLabels": {"alertname": "OpsPlanFailed", "severity": "critical"},
    "commonAnnotations": {"summary": "Ops plan execution failed", "runbook_url": "/admin/plans/run/"},
    "externalURL": "http://alertmanager:9093",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "OpsPlanFailed", "severity": "critical"},
            "annotations": {"summary": "Ops plan execution failed"},
            "startsAt": "2026-03-01T02:00:00.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": "c0ffee",
        }
    ],
}


def ended() -> dict[str, Any]:
    """The same group, over."""
    body = copy.deepcopy(FIRING)
    body["status"] = body["alerts"][0]["status"] = "resolved"
    body["alerts"][0]["endsAt"] = "2026-03-01T02:30:00Z"
    return body


@pytest.fixture
def alertmanager() -> APIClient:
    """Alertmanager, with its token."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {settings.ALERTMANAGER_TOKEN}")
    return client


def send(client: APIClient, body: Any) -> Any:
    return client.post("/api/alerts", body, format="json")


pytestmark = pytest.mark.django_db(transaction=True)


def test_an_alert_opens_an_incident_that_people_are_told_of(alertmanager: APIClient) -> None:
    answer = send(alertmanager, FIRING)

    assert answer.status_code == 200, answer.json()
    incident = Incident.objects.get()
    assert answer.json() == {"incident": str(incident.pk), "status": "open"}
    assert (incident.title, incident.severity, incident.source) == ("Ops plan execution failed", "critical", "alert")
    assert incident.details["links"] == {
        "runbook": "/admin/plans/run/",
        "alertmanager": "http://alertmanager:9093",
        "prometheus": "http://prometheus:9090/graph",
    }
    assert [alert.fingerprint for alert in incident.alerts.all()] == ["c0ffee"]
    entries = Entry.objects.filter(subject_id=str(incident.pk)).order_by("seq")
    assert [(entry.verb, entry.actor_name) for entry in entries] == [
        ("incident.opened", "system:alertmanager"),
        ("incident.alerts", "system:alertmanager"),
    ]
    assert OutboxEvent.objects.filter(topic="incident.opened", subject_id=str(incident.pk)).count() == 1


def test_the_same_notification_again_changes_nothing(alertmanager: APIClient) -> None:
    send(alertmanager, FIRING)
    written = Entry.objects.count()
    assert send(alertmanager, FIRING).status_code == 200

    assert (Incident.objects.count(), Alert.objects.count(), Entry.objects.count()) == (1, 1, written)


def test_its_end_quietens_the_incident_and_a_person_says_what_it_was(alertmanager: APIClient, api: Any) -> None:
    incident = send(alertmanager, FIRING).json()["incident"]
    ops = api("ops")
    refused = ops.post(f"/api/incidents/{incident}/resolve", {"conclusion": "a full disk"})
    assert (refused.status_code, refused.json()["code"]) == (422, "still_firing")

    assert send(alertmanager, ended()).json() == {"incident": incident, "status": "open"}
    assert Incident.objects.get().quiet_since is not None
    assert ops.post(f"/api/incidents/{incident}/acknowledge").json()["acknowledged_by"] == "ops"
    resolved = ops.post(f"/api/incidents/{incident}/resolve", {"conclusion": "a full disk"})
    assert (resolved.status_code, resolved.json()["status"]) == (200, "resolved")
    assert resolved.json()["alerts"][0]["ends_at"] == "2026-03-01T02:30:00Z"
    verbs = list(Entry.objects.filter(subject_id=incident).order_by("seq").values_list("verb", flat=True))
    assert verbs[-3:] == ["incident.quiet", "incident.acknowledged", "incident.resolved"]


def test_an_alert_that_fires_on_opens_what_was_resolved_too_soon(alertmanager: APIClient, api: Any) -> None:
    incident = send(alertmanager, FIRING).json()["incident"]
    body = {"conclusion": "it will stop", "although_firing": True}
    assert api("ops").post(f"/api/incidents/{incident}/resolve", body).status_code == 200

    assert send(alertmanager, FIRING).json() == {"incident": incident, "status": "open"}
    assert Entry.objects.filter(verb="incident.reopened").count() == 1


def test_the_same_trouble_after_its_end_is_a_new_incident(alertmanager: APIClient, api: Any) -> None:
    first = send(alertmanager, FIRING).json()["incident"]
    send(alertmanager, ended())
    api("ops").post(f"/api/incidents/{first}/resolve", {"conclusion": "a full disk"})
    again = copy.deepcopy(FIRING)
    again["alerts"][0]["startsAt"] = "2026-03-02T02:00:00Z"

    second = send(alertmanager, again).json()
    assert second["status"] == "open"
    assert second["incident"] != first


def test_the_end_of_what_nobody_told_of_is_no_incident(alertmanager: APIClient) -> None:
    assert send(alertmanager, ended()).json() == {"incident": None, "status": None}
    assert not Incident.objects.exists()


def test_two_notifications_at_once_are_one_incident() -> None:
    notification, both = read_notification(FIRING), threading.Barrier(2)

    def tell() -> None:
        both.wait(10)
        alerts.receive_notification(notification=notification, actor=SYSTEM("alertmanager"))
        connection.close()

    threads = [threading.Thread(target=tell) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (Incident.objects.count(), Alert.objects.count()) == (1, 1)


def test_only_its_own_token_lets_it_in(api: Any) -> None:
    for client in (APIClient(), api("pay_admin")):
        refused = send(client, FIRING)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert not Incident.objects.exists()


def test_its_token_opens_nothing_else(alertmanager: APIClient) -> None:
    assert alertmanager.get("/api/incidents").status_code == 401
    assert alertmanager.get("/api/ops/plans").status_code == 401


def test_without_a_token_configured_nobody_is_let_in(alertmanager: APIClient, settings: Any) -> None:
    settings.ALERTMANAGER_TOKEN = ""
    assert send(alertmanager, FIRING).status_code == 401
    empty = APIClient()
    empty.credentials(HTTP_AUTHORIZATION="Bearer ")
    assert send(empty, FIRING).status_code == 401
    assert not Incident.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"groupKey": ""}, "groupKey"),
        ({"groupKey": 7}, "groupKey"),
        ({"alerts": []}, "alerts"),
        ({"alerts": ["x"]}, "alerts.0"),
        ({"alerts": [{"fingerprint": "x"}]}, "alerts.0"),
        ({"alerts": [{**FIRING["alerts"][0], "startsAt": "yesterday"}]}, "alerts.0"),
    ],
)
def test_what_is_no_notification_is_refused_with_its_place(
    alertmanager: APIClient, change: dict[str, Any], field: str
) -> None:
    refused = send(alertmanager, {**FIRING, **change})
    assert (refused.status_code, refused.json()["code"]) == (400, "notification_invalid")
    assert field in refused.json()["errors"]
    assert not Incident.objects.exists()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values | st.fixed_dictionaries({"groupKey": st.text(), "alerts": st.lists(json_values, max_size=3)}))
def test_anything_else_is_read_or_refused(body: Any) -> None:
    refusals: list[NotificationInvalid] = []
    try:
        assert read_notification(body).alerts
    except NotificationInvalid as refusal:
        refusals.append(refusal)
    assert all(refusal.fields["errors"] for refusal in refusals)


def test_an_auditor_sees_and_cannot_move(alertmanager: APIClient, api: Any) -> None:
    incident = send(alertmanager, FIRING).json()["incident"]
    auditor, stranger = api("auditor"), api("dev")
    before = Entry.objects.count()
    assert auditor.get(f"/api/incidents/{incident}").json()["alerts"][0]["name"] == "OpsPlanFailed"
    for what, body in (
        ("acknowledge", {}),
        ("comment", {"comment": "x"}),
        ("resolve", {"conclusion": "x", "although_firing": True}),
    ):
        assert auditor.post(f"/api/incidents/{incident}/{what}", body).status_code == 403
    assert auditor.post("/api/incidents", {"title": "x", "severity": "info"}).status_code == 403
    assert stranger.get(f"/api/incidents/{incident}").status_code == 404
    assert (Incident.objects.get().status, Entry.objects.count()) == ("open", before)


def test_a_person_opens_one_and_the_same_again_joins_it(api: Any) -> None:
    body = {"title": "Bank A answers slowly", "severity": "warning", "description": "timeouts"}
    first = api("ops").post("/api/incidents", body)
    assert first.status_code == 201
    assert first.json()["details"] == {"description": "timeouts"}
    assert api("finance_ops").post("/api/incidents", body).json()["id"] == first.json()["id"]
    assert Incident.objects.count() == 1


def test_a_worse_alert_makes_the_incident_worse(alertmanager: APIClient) -> None:
    mild = copy.deepcopy(FIRING)
    mild["alerts"][0]["labels"]["severity"] = "warning"
    send(alertmanager, mild)
    assert Incident.objects.get().severity == "warning"
    send(alertmanager, FIRING)
    assert Incident.objects.get().severity == "critical"
    assert Entry.objects.filter(verb="incident.grew_worse").count() == 1


def test_a_resolved_incident_cannot_be_taken_up(alertmanager: APIClient, person: Any) -> None:
    send(alertmanager, FIRING)
    incident, ops = Incident.objects.get(), person("ops")
    incidents.resolve_incident(incident_id=incident.pk, conclusion="known", although_firing=True, actor=ops)
    written = Entry.objects.count()
    with pytest.raises(Exception, match="cannot become"):
        incidents.acknowledge_incident(incident_id=incident.pk, actor=ops)
    assert Entry.objects.count() == written
