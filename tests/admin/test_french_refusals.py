"""Refusals of people's own pages: French for whoever reads French, English for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils.translation import override

from opsconsole.core.actors import Actor
from opsconsole.core.tokens import create_token
from opsconsole.identity import tokens
from opsconsole.identity.errors import NoSecondFactor
from opsconsole.identity.second_factor import reset_second_factor
from opsconsole.notifications.models import Subscription
from tests.admin.conftest import press, send
from tests.world import World

UNKNOWN = "plan.misspelled"


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """A request leaves its language behind in the thread; the tests after these are in English."""
    with override(settings.LANGUAGE_CODE):
        yield


def reading(client: Client, language: str) -> Client:
    """The client after a press of the language switch."""
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = language
    return client


def test_a_page_refuses_in_french_what_the_api_refuses_in_english(
    world: World, browse: Callable[..., Client], person: Callable[..., Actor]
) -> None:
    user = person("ops").user
    assert user is not None
    user.email = "ops@example.com"
    user.save(update_fields=["email"])
    client = reading(browse("ops"), "fr")
    refused = press(client, reverse("admin:notifications_subscription_me"), patterns=UNKNOWN)
    page = refused.content.decode()
    assert refused.status_code == 400
    assert f"Aucun événement ne correspond à {UNKNOWN}." in page
    assert "No event fits" not in page
    token = create_token(user)
    answer = Client().post(
        reverse("notification-subscription-list"),
        {"patterns": [UNKNOWN]},
        content_type="application/json",
        headers={"accept-language": "fr", "authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 400
    assert answer.json()["detail"] == f"No event fits {UNKNOWN}."
    assert answer.json()["errors"] == {"patterns": ["no event fits one of these"]}
    assert not Subscription.objects.exists()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("fr", ["Ce mot de passe ne convient pas.", "Ce mot de passe est trop court.", "trop semblable au champ"]),
        ("en", ["This password will not do.", "This password is too short.", "too similar to the username"]),
    ],
)
def test_what_is_wrong_with_a_password_is_said_in_the_language_of_whoever_chose_it(
    world: World, browse: Callable[..., Client], person: Callable[..., Actor], language: str, said: list[str]
) -> None:
    user = person("ops").user
    assert user is not None
    user.set_password("an old one 4711")
    user.save(update_fields=["password"])
    client = reading(browse("ops"), language)
    refused = send(client, reverse("admin:knox_authtoken_password"), old="an old one 4711", new="ops1", again="ops1")
    assert refused.status_code == 400
    page = refused.content.decode()
    assert [text for text in said if text not in page] == []
    user.refresh_from_db()
    assert user.check_password("an old one 4711")


def test_a_refusal_keeps_both_languages(person: Callable[..., Actor]) -> None:
    with pytest.raises(NoSecondFactor) as refusal, override("fr"):
        reset_second_factor(username="ops", reason="lost", actor=person("admin"))
    assert refusal.value.message == str(refusal.value) == "There is no second factor of ops."
    with override("fr"):
        assert str(refusal.value.told) == "ops n’a pas de second facteur."
        assert str(refusal.value) == "There is no second factor of ops."


@pytest.mark.parametrize(("language", "people"), [("fr", "Personnes"), ("en", "People")])
def test_pages_of_tokens_stand_under_people_and_not_under_the_library(
    world: World, browse: Callable[..., Client], person: Callable[..., Actor], language: str, people: str
) -> None:
    actor = person("ops")
    tokens.issue_own_token(days=1, actor=actor)
    page = reading(browse("ops"), language).get(reverse("admin:knox_authtoken_changelist")).content.decode()
    assert people in page
    assert "Knox" not in page
