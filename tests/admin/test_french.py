"""The pages in French: no English left over, the switch, and what stays English on purpose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils.translation import get_language, override
from lxml import html

from opsconsole.core.actors import Actor
from opsconsole.core.operations import operation
from opsconsole.core.tokens import create_token
from opsconsole.plans.models import Plan
from opsconsole.plans.services import staging
from tests.world import World

FRENCH = {"headers": {"accept-language": "fr"}}
# Words that only an English sentence has; names, ids and what was stored when it happened stand in none of the labels.
TELLTALES = re.compile(
    r"\b(the|and|with|this|that|was|were|from|waits?|which|nothing|nobody|every|what|who|when)\b", re.I
)
LABELS = "//h1|//h2|//h3|//th|//dt|//label|//button|//legend|//nav//a|//title|//option|//*[@class='ops-label']"


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """A request leaves its language behind in the thread; the tests after these are in English."""
    with override(settings.LANGUAGE_CODE):
        yield


def labels(page: str) -> list[str]:
    """What the console itself says on a page; symbols are drawn by the names of their icons."""
    tree = html.fromstring(page)
    for icon in tree.xpath("//*[contains(@class, 'material-symbols')]|//script|//style"):
        icon.drop_tree()
    found = [" ".join(one.text_content().split()) for one in tree.xpath(LABELS)]
    hints = tree.xpath("//@title|//@aria-label|//@placeholder|//@data-said|//@data-lost")
    return [text for text in (*found, *map(str, hints)) if text]


def english(client: Client, url: str) -> list[str]:
    page = client.get(url, **FRENCH)
    assert page.status_code == 200, url
    assert page["Content-Language"] == "fr"
    return [f"{url}: {text}" for text in labels(page.content.decode()) if TELLTALES.search(text)]


@pytest.mark.parametrize("role", ["pay_admin", "auditor", "admin"])
def test_no_list_and_no_drafting_page_has_english_labels(
    world: World, browse: Callable[..., Client], role: str
) -> None:
    client = browse(role)
    urls = [reverse("admin:index"), reverse("admin:second_factor")]
    for model in admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        if client.get(url).status_code == 200:
            urls.append(url)
    assert len(urls) > 5
    assert [text for url in urls for text in english(client, url)] == []


def test_a_plan_and_its_journal_are_french(
    world: World, draft: Callable[..., Plan], person: Callable[..., Actor], browse: Callable[..., Client]
) -> None:
    plan = staging.stage_plan(plan_id=draft().pk, actor=person("ops"))
    client = browse("auditor")
    url = reverse("admin:plans_plan_change", args=[plan.pk])
    page = client.get(url, **FRENCH).content.decode()
    assert english(client, url) == []
    for said in ("préparé", "Approbations", "plan rédigé", "plan préparé", "Ce qui a été demandé"):
        assert said in page
    assert 'title="plan.staged"' in page  # the verb itself is what was signed


def test_the_first_pages_are_french() -> None:
    login = Client().get(reverse("admin:login"), **FRENCH).content.decode()
    assert "Se connecter" in login
    assert "Mot de passe" in login
    lost = Client().get("/nowhere", **FRENCH)
    assert lost.status_code == 404
    assert "Il n’y a rien ici" in lost.content.decode()


def test_the_switch_keeps_the_page_and_the_choice(world: World, browse: Callable[..., Client]) -> None:
    client, here = browse("ops"), f"{reverse('admin:plans_plan_changelist')}?status__in=staged"
    page = html.fromstring(client.get(here, **FRENCH).content.decode())
    (form,) = page.xpath("//form[.//input[@name='language' and @value='en']]")
    came_from = {"referer": f"http://testserver{here}"}  # the policy of this site lets browsers say so
    sent = client.post(form.action, dict(form.fields), headers=came_from)
    assert (sent.status_code, sent["Location"].removeprefix("http://testserver")) == (302, here)
    assert client.cookies[settings.LANGUAGE_COOKIE_NAME].value == "en"
    assert client.get(here, **FRENCH)["Content-Language"] == "en"


def test_the_api_answers_in_english(world: World, person: Callable[..., Actor], draft: Callable[..., Plan]) -> None:
    plan = draft()
    token = create_token(person("ops").user)
    bearer = {"accept-language": "fr", "authorization": f"Bearer {token}"}
    refused = Client().post(f"/api/ops/plans/{plan.pk}/execute", headers=bearer, content_type="application/json")
    assert refused.status_code >= 400
    assert refused["Content-Language"] == "en"
    assert not re.search("[éèà]", refused.content.decode())


def test_an_operation_writes_in_english_whoever_acts(world: World, person: Callable[..., Actor]) -> None:
    @operation
    def look(*, actor: Actor) -> str:
        assert actor
        return str(get_language())

    with override("fr"):
        assert look(actor=person("ops")) == "en"
        assert get_language() == "fr"
