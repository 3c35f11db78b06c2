"""Debian's Chromium on the running console; without it these tests say so and are not run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.plans.conftest import approved, draft, executed, world
from tests.sandbox_bank.process import bank, shared_bank

__all__ = ["approved", "bank", "draft", "executed", "shared_bank", "world"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser, started once for a module."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (make test-deps)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    # The driver runs an event loop in this thread, which Django takes for code that must not block.
    with pytest.MonkeyPatch.context() as patch, playwright.sync_playwright() as running:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = running.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, live_server: Any, person: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Open the console as somebody: `visit("ops")`, `visit("ops", width=390, dark=True)`.

    The page keeps a list of everything that went wrong in it: `page.troubles`.
    """
    contexts: list[Any] = []

    def open_as(name: str | None, *roles: str, width: int = 1280, dark: bool = False) -> Any:
        context = chromium.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": 850},
            color_scheme="dark" if dark else "light",
            locale="en-GB",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.troubles = []
        page.on("pageerror", lambda error: page.troubles.append(str(error)))
        page.on("console", lambda said: page.troubles.append(said.text) if said.type == "error" else None)
        page.on(
            "request",
            lambda sent: None if sent.url.startswith((live_server.url, "data:")) else page.troubles.append(sent.url),
        )
        if name is not None:
            person(name, *roles)
            page.goto("/admin/")
            page.fill("#id_username", name)
            page.fill("#id_password", f"{name}-password-1")
            page.click("#login-form button[type=submit]")
            page.wait_for_url("**/admin/")
        return page

    yield open_as
    for context in contexts:
        context.close()
