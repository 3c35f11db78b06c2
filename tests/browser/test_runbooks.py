"""A runbook by mouse: an answer comes into its place, and what was asked and ticked before stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from opsconsole.core.models import User
from opsconsole.runbooks.domains import Domain
from tests.runbooks.conftest import shelf

__all__ = ["shelf"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGE = "/admin/runbooks/lamps/"


def test_an_answer_comes_into_its_place(shelf: Callable[..., Domain], visit: Callable[..., Any]) -> None:
    page = visit("auditor")
    page.goto(PAGE)
    echo, series = page.locator("#diagnostic-echo"), page.locator("#diagnostic-series")
    echo.locator("input[name=word]").fill("dark & cold")
    echo.locator("button[type=submit]").click()
    echo.locator("table").wait_for()
    assert echo.locator("tbody td").inner_text() == "dark & cold"
    assert "word=dark" in page.url
    # What was typed is taken over by the others, by what follows from it, and by the top of the page.
    assert page.locator("#diagnostic-users input[name=word]").input_value() == "dark & cold"
    assert page.locator("#about input[name=word]").input_value() == "dark & cold"
    assert "lacks the permission" in page.locator("#action-open-incident").inner_text()

    series.locator("input[name=count]").fill("2")
    series.locator("button[type=submit]").click()
    series.locator("table").wait_for()
    assert series.locator("tbody tr").count() == 2
    assert echo.locator("tbody tr").count() == 1  # asked before, and still there
    assert page.evaluate("document.activeElement.closest('[data-part]').id") == "diagnostic-series"
    assert f"{User.objects.count()} users" in page.locator("#check-users-there").inner_text()

    page.locator("input[data-tick]").check()
    page.reload()
    assert page.locator("input[data-tick]").is_checked()
    assert series.locator("tbody tr").count() == 2  # the address holds what was asked last
    page.goto(f"{PAGE}?word=light")
    assert not page.locator("input[data-tick]").is_checked()  # that is about something else
    assert page.troubles == []


def test_it_works_without_scripts(shelf: Callable[..., Domain], visit: Callable[..., Any]) -> None:
    page = visit("auditor")
    page.route("**/console.js", lambda route: route.abort())
    page.goto(PAGE)
    page.locator("#diagnostic-series button[type=submit]").click()
    page.locator("#diagnostic-series table").wait_for()
    assert page.url.endswith("#diagnostic-series")
    assert page.locator("#diagnostic-series tbody tr").count() == 3
