"""A running site with the demo record, and a real Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.stack.installation import Installation, migrated, template, wait_until

PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True}
DESKTOP = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
SCREENS = pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone-dark", "desktop-light"])
CLINICIAN = "clinician@demo.skincheck.example"
PAGES = (
    "login",
    "home",
    "patients",
    "patient",
    "lesion",
    "lesion_new",
    "lesion_place",
    "upload",
    "result",
    "timeline",
    "comparison",
    "outline",
    "scale",
    "model",
    "data",
    "account",
    "reminders",
    "help",
)


ACTS = (
    *("check", "clear", "click", "fill", "focus", "hover", "press", "select_option"),
    "set_input_files",
)
LOADING = "html.js [data-upload]:not([data-ready])"
"""A form whose script still imports others when the page is loaded."""


def is_ready(page: Page) -> None:
    """Its scripts listen."""
    page.wait_for_load_state()
    expect(page.locator(LOADING)).to_have_count(0)


def hand_over_file_choosers(page: Page) -> None:
    """From now on. Asked for together with the click, Chromium may still open one itself."""
    page.on("filechooser", lambda _: None)


def once_ready(act: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(act)
    def acts(locator: Locator, *arguments: Any, **options: Any) -> Any:
        locator.wait_for(state="attached")  # on the page that a click before leads to
        is_ready(locator.page)
        return act(locator, *arguments, **options)

    return acts


@pytest.fixture(scope="session", autouse=True)
def _on_slow_machines() -> Iterator[None]:
    """No act is lost on a page whose scripts do not listen yet; what comes late is waited for."""
    expect.set_options(timeout=30_000)
    with pytest.MonkeyPatch.context() as patch:
        for name in ACTS:
            patch.setattr(Locator, name, once_ready(getattr(Locator, name)))
        yield


@dataclass(frozen=True)
class Site:
    url: str
    passwords: dict[str, str]
    installation: Installation
    worker: subprocess.Popen[bytes]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": chromium, "args": sandbox}


def read_demo(folder: Path) -> Installation:
    """An installation with the demo record, whose every image is read and measured."""
    made = migrated().copied(folder)
    (folder / "logins").write_text(made.python("manage.py", "demo"))
    with made.running("worker"), made.running("sweeper"):
        wait_until(lambda: _all_read(made), "the demo images are read")
        wait_until(lambda: not _unmeasured(made), "the demo images are measured")
    return made


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Started with the commands of ``script/server``."""
    folder = tmp_path_factory.mktemp("site") / "var"
    installation = template("demo", read_demo).copied(folder, WEBHOOK_ALLOW_PRIVATE="1")
    logins = [line.split() for line in (folder / "logins").read_text().splitlines()]
    with (
        installation.running("web"),
        installation.running("worker") as worker,
        installation.running("courier"),
        installation.running("sweeper"),
    ):
        wait_until(lambda: "Serving" in installation.log("web"), "the web is ready")
        yield Site(
            f"http://127.0.0.1:{installation.port}",
            {email: password for _, email, password in logins},
            installation,
            worker,
        )
    installation.remove()


@pytest.fixture(scope="session")
def signed_in(browser: Browser, site: Site) -> dict[str, Any]:
    """The cookies of the clinician's login by the form."""
    context = browser.new_context(base_url=site.url)
    page = context.new_page()
    log_in(page, site)
    state = context.storage_state()
    context.close()
    return dict(state)


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Open pages in separate contexts. No page may have reported an error by the end of the
    test.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def complain(message: Any) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text} ({message.location})")

    def open_one(**options: Any) -> Page:
        context = browser.new_context(**{"base_url": site.url} | options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", complain)  # includes violations of the Content-Security-Policy
        page.on("pageerror", lambda error: complaints.append(str(error)))
        hand_over_file_choosers(page)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def addresses(site: Site) -> dict[str, str]:
    query = site.installation.query
    [(patient,)] = query("SELECT id FROM screening_patient WHERE label = 'Demo patient 1'")
    [(lesion,)] = query("SELECT id FROM screening_lesion WHERE label = 'Growing spot'")
    [(image,)] = query(
        "SELECT i.id FROM screening_lesionimage i JOIN screening_lesion l ON l.id = i.lesion_id "
        "WHERE l.label = 'Growing spot' ORDER BY i.captured_on DESC LIMIT 1"
    )
    # SQLite keeps them without dashes.
    patient, lesion, image = (UUID(str(pk)) for pk in (patient, lesion, image))
    return {
        "login": "/accounts/login/",
        "home": "/",
        "patients": "/patients/",
        "patient": f"/patients/{patient}/",
        "lesion": f"/lesions/{lesion}/",
        "lesion_new": f"/patients/{patient}/lesions/new/",
        "lesion_place": f"/lesions/{lesion}/place/",
        "upload": f"/lesions/{lesion}/images/new/",
        "result": f"/images/{image}/",
        "timeline": f"/patients/{patient}/timeline/",
        "comparison": f"/lesions/{lesion}/compare/",
        "outline": f"/images/{image}/outline/",
        "scale": f"/images/{image}/scale/",
        "model": "/model/",
        "data": "/data/",
        "account": "/account/",
        "reminders": "/reminders/",
        "help": "/help/",
    }


def log_in(page: Page, site: Site) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(CLINICIAN)
    page.get_by_label("Password", exact=True).fill(site.passwords[CLINICIAN])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.wait_for_url("**/")


def is_sound(page: Page) -> None:
    """Accessible, and no wider than the screen. Wait for something on the intended page first,
    since a click on a link does not wait for the next page.
    """
    found = Axe().run(page).response["violations"]
    assert not found, "\n".join(
        f"{one['id']} ({one['impact']}): {[node['html'][:160] for node in one['nodes'][:5]]}"
        for one in found
    )
    width = page.viewport_size["width"] if page.viewport_size else 0
    too_wide = page.evaluate(
        """width => [...document.querySelectorAll("main *")]
            .filter((one) => one.getBoundingClientRect().right > width + 0.5)
            .map((one) => one.outerHTML.slice(0, 160))""",
        width,
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width, too_wide


def _all_read(installation: Installation) -> bool:
    rows = installation.query("SELECT DISTINCT state FROM screening_prediction")
    return rows == [("succeeded",)]


def _unmeasured(installation: Installation) -> int:
    """How many images are still to be measured."""
    code = "from screening.measurements.services import unmeasured\nprint(len(unmeasured()))"
    return int(installation.python("manage.py", "shell", "--no-imports", "--command", code))


def drawn(folder: Path, seed: int) -> Path:
    from screening.images import synthetic

    path = folder / f"drawn-{seed}.jpg"
    path.write_bytes(synthetic.jpeg(synthetic.draw_lesion(seed=seed)))
    return path
