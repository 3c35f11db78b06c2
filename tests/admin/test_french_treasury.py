"""Treasury in French: refusals and warnings as people read them; English in the rows and at the API."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from opsconsole.core.actors import SYSTEM, Actor
from opsconsole.core.operations import operation
from opsconsole.core.texts import english
from opsconsole.core.tokens import create_token
from opsconsole.plans import warnings
from opsconsole.plans.models import Plan
from opsconsole.plans.warnings import Template
from opsconsole.treasury import sql
from opsconsole.treasury.closing import closures
from opsconsole.treasury.errors import BankPaused
from opsconsole.treasury.models import Instruction, Payout
from opsconsole.treasury.plan_types import failover, freeze, pause_bank, payout_warnings, sweep
from tests.admin.conftest import contents, press
from tests.admin.test_drafting import FILLED, new
from tests.admin.test_treasury_buttons import HEADER
from tests.world import World

BAD = "IN-2,Ada GmbH,DE00370400449046584330,COBADEFFXXX,-1,EUR,2025-07-01,Invoice 2"
# What the triggers about closed doors say, with the name left out.
SENTENCES = re.findall(r"raise exception '([^']*%[^']*: nothing (?:is|new)[^']*\.)'", inspect.getsource(sql))


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """A request leaves its language behind in the thread; the tests after these are in English."""
    with override(settings.LANGUAGE_CODE):
        yield


@pytest.fixture
def french(browse: Callable[..., Client]) -> Callable[[str], Client]:
    """A browser whose user reads French."""

    def make(name: str) -> Client:
        client = browse(name)
        client.cookies[settings.LANGUAGE_COOKIE_NAME] = "fr"
        return client

    return make


def said(text: object) -> str:
    """A text with ordinary spaces, as it is written in the tests."""
    return str(text).replace("\xa0", " ")


def test_a_bad_line_of_a_file_is_explained_in_french(
    world: World, french: Callable[[str], Client], person: Callable[..., Actor]
) -> None:
    client, token = french("finance_ops"), create_token(person("finance_ops").user)
    before = contents()
    file = SimpleUploadedFile("payouts.csv", f"{HEADER}\n{BAD}\n".encode())
    refused = press(client, reverse("admin:treasury_payout_import"), file=file)
    page = said(refused.content.decode())
    assert refused.status_code == 422
    assert "Lignes refusées : 1 sur 1 ; rien n’a été chargé." in page
    assert "ligne 2 : iban ne satisfait pas à la clé de contrôle de l’IBAN ; amount n’est pas positif" in page
    row = dict(zip(HEADER.split(","), BAD.split(","), strict=True))
    answer = Client().post(
        reverse("payouts"),
        row,
        content_type="application/json",
        headers={"accept-language": "fr", "authorization": f"Bearer {token}"},
    )
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        {"iban": ["fails the IBAN's check digits"], "amount": ["is not positive"]},
    )
    assert "iban: fails the IBAN's check digits; amount: is not positive." in answer.json()["detail"]
    assert contents() == before


def test_what_is_wrong_with_a_draft_is_said_beneath_its_field(world: World, french: Callable[[str], Client]) -> None:
    filled, _payload = FILLED["sweep"](world)
    refused = press(french("ops"), new("sweep"), **{**filled, "source_accounts": [world.account.iban]})
    errors = refused.context["form"].errors
    assert [said(one) for one in errors["source_accounts"]] == [
        "les comptes ou source_bank, l’un des deux, dit d’où vient l’argent"
    ]
    assert "Les données du nivellement ne sont pas valides." in said(errors["__all__"])
    assert not Plan.objects.exists()


def test_the_sentences_of_the_database_are_all_known() -> None:
    assert len(SENTENCES) == 7
    for sentence in {one.replace("%", "Anna {b} 100 %") for one in SENTENCES}:
        told = closures._said_again(sentence)
        assert english(told) == sentence
        with override("fr"):
            assert "Anna {b} 100 %" in str(told)
            assert str(told) != sentence
    assert closures._said_again("The door is shut.") == "The door is shut."


@operation
def _send_off(*, payout: Payout, actor: Actor) -> None:  # noqa: ARG001 - every operation has one
    with closures.refusals_in_words(), connection.cursor() as cursor:
        cursor.execute("update treasury_instructions set status = 'sending' where payout_id = %s", [payout.pk])


def test_what_the_database_refuses_is_told_in_french_with_the_name(
    world: World, approved: Callable[..., Plan], superuser: psycopg.Connection[object]
) -> None:
    approved(total="500")
    superuser.execute("set session_replication_role = replica")
    superuser.execute("update treasury_banks set status = 'paused' where code = 'sandbox'")
    planned = Instruction.objects.filter(status="planned").first()
    assert planned is not None
    with override("fr"), pytest.raises(BankPaused) as refusal:
        _send_off(payout=planned.payout, actor=SYSTEM("worker"))
    assert refusal.value.message == f"{world.http.name} is paused: nothing new goes to it."
    with override("fr"):
        assert said(refusal.value.told) == f"{world.http.name} : banque suspendue, rien de nouveau n’y va."


def test_every_warning_of_treasury_is_said_in_french() -> None:
    spoken = [vars(module).values() for module in (failover, freeze, pause_bank, payout_warnings, sweep)]
    templates = [one for values in spoken for one in values if isinstance(one, Template)]
    templates += freeze.UNKNOWN_SUBJECT.values()
    assert len(templates) == 20
    words = ("account", "balance", "bank", "corridors", "currency", "days", "plans", "subject", "sum")
    for template in templates:
        for count in (1, 2):
            stored = template.of(**dict.fromkeys(words, "X-1"), count=count)
            told = warnings.told(stored)
            assert english(told) == stored["message"]
            with override("fr"):
                assert str(told) != stored["message"], template.code
