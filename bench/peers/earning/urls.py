"""The peer's two doors: the same INSERT and UPDATE by cursor, and by the ORM as most would write it."""

from __future__ import annotations

import json

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.urls import path

from bench.peers.earning.models import Member, Movement


def by_cursor(request: HttpRequest) -> HttpResponse:
    """One UPDATE and one INSERT in one transaction."""
    facts = json.loads(request.body)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "update earning_member set points = points + %s, updated_at = now() where user_id = %s",
            [facts["points"], facts["userId"]],
        )
        cursor.execute(
            "insert into earning_movement (user_id, amount, origin) values (%s, %s, %s) returning id",
            [facts["userId"], facts["points"], facts["originTxnId"]],
        )
        made = cursor.fetchone()[0]
    return _answer(made)


def by_orm(request: HttpRequest) -> HttpResponse:
    """The same."""
    facts = json.loads(request.body)
    with transaction.atomic():
        Member.objects.filter(user_id=facts["userId"]).update(points=F("points") + facts["points"], updated_at=Now())
        made = Movement.objects.create(user_id=facts["userId"], amount=facts["points"], origin=facts["originTxnId"])
    return _answer(made.pk)


def healthz(_request: HttpRequest) -> HttpResponse:
    """That it is there."""
    return HttpResponse()


def _answer(made: int) -> HttpResponse:
    body = json.dumps({"transactionId": made}).encode()
    return HttpResponse(body, status=201, headers={"Content-Type": "application/json", "Content-Length": len(body)})


urlpatterns = [path("healthz", healthz), path("cursor", by_cursor), path("orm", by_orm)]
