"""Photographs the console, on one of its own with demo data and a morning's history.

    python -m tools.screenshots                 the pictures of README and docs, into docs/img/
    python -m tools.screenshots --out DIR       every page: light and dark, desk and phone, English and French
    python -m tools.screenshots --out DIR --only plan --only home

Needs Chromium, which `make test-deps` installs. A page that is wider than its window, and one that is not there, is
named; the status is 1 then.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import Browser, Page, sync_playwright

from tools.pictured import LISTS, Pages, pages
from tools.stage import ROOT, Console, Json, console, going, history

SHOWN: Final = ROOT / "docs" / "img"
ARGUMENTS: Final = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
DESK, PHONE = 1400, 390
QUALITY: Final = 82
WAYS: Final = ((DESK, "light", "en"), (DESK, "dark", "fr"), (PHONE, "dark", "en"), (PHONE, "light", "fr"))
# Of what README and docs show: name, page, theme.
IN_DOCS: Final = (("home", "home", "light"), ("plan", "plan-staged", "light"), ("run", "run-going", "dark"))
WAYS_IN: Final = ("login", "invitation", "second-factor-none", "enrol", "codes", "second-factor", "code")
NEWCOMERS: Final = ("dev", "trader", "ops_marketing", "risk_manager")  # one for each way: who enrols does it once


@contextmanager
def opened(browser: Browser, here: Console, *, width: int, theme: str, language: str = "en") -> Iterator[Page]:
    """A page in which nobody has logged in."""
    context = browser.new_context(
        base_url=here.address,
        viewport={"width": width, "height": 900 if width > PHONE else 844},
        color_scheme="dark" if theme == "dark" else "light",
        locale={"en": "en-GB", "fr": "fr-FR"}[language],
    )
    yield context.new_page()
    context.close()


def log_in(page: Page, here: Console, who: str, then: str = "**/admin/") -> None:
    """By the password, as far as this page."""
    page.goto("/admin/")
    page.fill("#id_username", who)
    page.fill("#id_password", here.people[who]["password"])
    page.click("#login-form button[type=submit]")
    page.wait_for_url(then)


@contextmanager
def seat(browser: Browser, here: Console, *, who: str, width: int, theme: str, language: str = "en") -> Iterator[Page]:
    """A page in which somebody has logged in."""
    with opened(browser, here, width=width, theme=theme, language=language) as page:
        log_in(page, here, who)
        yield page


def photograph(page: Page, path: Path, *, whole: bool) -> int:
    """Write one WebP of what is shown; by how many pixels the page is wider than the window."""
    page.wait_for_timeout(400)  # charts draw themselves a moment later
    devtools = page.context.new_cdp_session(page)
    wanted: Json = {"format": "webp", "quality": QUALITY}
    if whole:
        size = devtools.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 4000), "scale": 1}
        wanted |= {"captureBeyondViewport": True, "clip": clip}
    path.write_bytes(base64.b64decode(devtools.send("Page.captureScreenshot", wanted)["data"]))
    devtools.detach()
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


class Album:
    """The pictures of one way to look, in a folder; what is wrong with them."""

    def __init__(self, out: Path, way: tuple[int, str, str], only: list[str]) -> None:
        self._out, self._only = out, only
        self._suffix = "-".join(str(part) for part in way)
        self.wrong: list[str] = []

    def wants(self, name: str) -> bool:
        """Whether this page was asked for."""
        return not self._only or name in self._only

    def add(self, page: Page, name: str, url: str = "", *, status: int = 200) -> None:
        """A picture of the page there, or of what is shown already."""
        if not self.wants(name):
            return
        if url and (answer := page.goto(url)) and answer.status != status:
            self.wrong.append(f"{name}: {url} answers {answer.status}")
        path = self._out / f"{name}-{self._suffix}.webp"
        if over := photograph(page, path, whole=True):
            self.wrong.append(f"{path.name}: {over} px wider than the window")


def for_looking(browser: Browser, here: Console, out: Path, only: list[str]) -> list[str]:
    """Every page, every way; those that are too wide, or not there."""
    wrong: list[str] = []
    found = pages(here)
    if not only or {"run-going", "plan-going"} & set(only):
        found["pay_admin"] |= under_way(here)
    for way, newcomer in zip(WAYS, NEWCOMERS, strict=True):
        album = Album(out, way, only)
        look: Json = dict(zip(("width", "theme", "language"), way, strict=True))
        for who, addresses in found.items():
            lists = LISTS.get(who, {})
            names = [*addresses, *lists, *(f"{name}-{one}" for name, (_, rest) in lists.items() for one in rest)]
            if any(map(album.wants, names)):
                with seat(browser, here, who=who, **look) as page:
                    for name, url in addresses.items():
                        album.add(page, name, url, status={"refused": 403, "not-found": 404}.get(name, 200))
                    for name, (path, rest) in lists.items():
                        _of_list(album, page, name, path, rest)
        if any(map(album.wants, WAYS_IN)):
            _ways_in(album, browser, here, newcomer, look)
        wrong += album.wrong
    return wrong


def _of_list(album: Album, page: Page, name: str, path: str, rest: tuple[str, ...]) -> None:
    """A list, and pages of its first row."""
    names = [f"{name}-{one}" for one in rest]
    if not any(map(album.wants, (name, *names))):
        return
    album.add(page, name, f"/admin/{path}/")
    page.goto(f"/admin/{path}/")
    rows = page.locator(f"#result_list a[href^='/admin/{path}/'][href*='/change/']")
    if rest and not rows.count():
        album.wrong.append(f"{name}: no row")
        return
    row = str(rows.first.get_attribute("href")).partition("/change/")[0] if rest else ""
    for one, known in zip(rest, names, strict=True):
        album.add(page, known, f"{row}/{one}/")


def _ways_in(album: Album, browser: Browser, here: Console, who: str, look: Json) -> None:
    """Logging in, an invitation, and setting up a second factor."""
    with opened(browser, here, **look) as page:
        album.add(page, "login", "/admin/login/")
        album.add(page, "invitation", here.invitation("amina"))
        log_in(page, here, who)
        album.add(page, "second-factor-none", "/admin/second-factor/")
        page.goto("/admin/login/enrol/")
        album.add(page, "enrol")
        secret = base64.b32decode(str(page.locator("#secret").text_content()).replace(" ", ""))
        code = TOTP(secret, 6, SHA1(), 30).generate(int(time.time()))  # noqa: S303 - what authenticators speak
        page.fill("#id_code", code.decode())
        page.click("#enrol-form button[type=submit]")
        page.wait_for_selector(".ops-codes")
        album.add(page, "codes")
        album.add(page, "second-factor", "/admin/second-factor/")
    with opened(browser, here, **look) as page:
        log_in(page, here, who, "**/login/code/**")
        album.add(page, "code")


def for_docs(browser: Browser, here: Console) -> list[str]:
    """The few that README and docs show."""
    wide = []
    found = pages(here)["pay_admin"] | under_way(here)
    for name, page_name, theme in IN_DOCS:
        with seat(browser, here, who="pay_admin", width=DESK, theme=theme) as page:
            page.goto(found[page_name])
            if over := photograph(page, SHOWN / f"{name}.webp", whole=False):
                wide.append(f"{name}: {over} px wider than the window")
    return wide


def under_way(here: Console) -> Pages:
    """A run that goes on while it is photographed."""
    run = going(here)
    addresses = {"run-going": f"run/{run['run']}", "plan-going": f"plan/{run['plan']}"}
    return {name: f"/admin/plans/{address}/change/" for name, address in addresses.items()}


def main() -> int:
    """Status 1 when a page is not there or does not fit."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description="Photograph the console.")
    parser.add_argument("--out", type=Path, metavar="DIR", help="every page, into this folder")
    parser.add_argument("--only", action="append", default=[], metavar="PAGE", help="with --out: only this one")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("Chromium is not installed: see `make test-deps`.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no process of ours is left
    with console() as here, sync_playwright() as playwright:
        history(here)
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        if options.out is None:
            wrong = for_docs(browser, here)
        else:
            options.out.mkdir(parents=True, exist_ok=True)
            wrong = for_looking(browser, here, options.out, options.only)
        browser.close()
    print("\n".join(wrong) or "Every page is there, and fits.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
