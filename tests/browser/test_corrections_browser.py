"""A correction in a real browser: a reading with other details, and two tabs on one lesion."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import CLINICIAN, Site, drawn, is_sound, log_in

pytestmark = pytest.mark.browser

READ_WITHIN = 60_000  # milliseconds; beside other tests it takes long
TODAY = datetime.now(UTC).date()
THIS_YEAR = TODAY.year


@contextmanager
def nobody_reads(site: Site) -> Iterator[None]:
    """Stop the worker at a moment when it holds no lock."""
    while True:
        os.killpg(site.worker.pid, signal.SIGSTOP)
        if all(_is_free(file) for file in site.installation.folder.glob("*.sqlite3")):
            break
        os.killpg(site.worker.pid, signal.SIGCONT)
        time.sleep(0.2)
    try:
        yield
    finally:
        os.killpg(site.worker.pid, signal.SIGCONT)


def _is_free(file: Path) -> bool:
    with closing(sqlite3.connect(file, timeout=2, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


def new_patient(page: Page, label: str, age: int) -> None:
    page.goto("/patients/new/")
    page.get_by_label("Name").fill(label)
    page.get_by_label("Birth year").fill(str(THIS_YEAR - age))
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(label)


def new_lesion(page: Page, label: str) -> None:
    page.goto(page.url.split("?")[0] + "lesions/new/")
    page.get_by_label("Name").fill(label)
    page.get_by_role("button", name="Continue to the picture").click()
    page.wait_for_url(re.compile("/images/new/"))


def test_a_corrected_birth_year_is_read_again_and_what_was_told_stays_in_sight(
    open_page: Callable[..., Page], signed_in: dict[str, Any], site: Site, tmp_path: Path
) -> None:
    page = open_page(storage_state=signed_in)
    new_patient(page, "Born wrongly", 34)
    patient = page.url
    new_lesion(page, "Left arm")
    page.locator("input[name=file]").set_input_files(drawn(tmp_path, seed=301))
    page.locator(".upload").get_by_label("Taken on").fill(TODAY.isoformat())
    page.get_by_role("button", name="Add 1 picture").click()
    page.wait_for_url(re.compile(r"/images/[0-9a-f-]{36}/$"), timeout=READ_WITHIN)
    reading = page.locator("#reading")
    expect(reading).to_contain_text("Age: 34", timeout=READ_WITHIN)
    image = page.url
    expect(page.locator("#measures")).to_contain_text("Measured within", timeout=READ_WITHIN)

    with nobody_reads(site):
        page.goto(f"{patient}edit/")
        page.get_by_label("Birth year").fill(str(THIS_YEAR - 80))
        page.get_by_role("button", name="Save").click()
        page.wait_for_url(patient)
        page.goto(image)
        told = page.locator("#other-details")
        expect(told).to_have_text(
            re.compile(r"Read with other details:\s+age 34 then, 80 now\.\s+Being read again\.")
        )
        expect(page.locator("#reading .advice")).to_be_visible()
        is_sound(page)

    expect(reading).to_contain_text("Age: 80", timeout=READ_WITHIN)  # the page polls
    expect(page.locator("#other-details")).to_have_count(0)
    expect(page.locator("#told-before")).to_contain_text("with age 34")
    is_sound(page)


def test_a_stale_tab_shows_both_and_unticks_no_symptom(
    open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in)
    new_patient(page, "Two tabs", 50)
    new_lesion(page, "Right arm")
    lesion = page.url.split("images/new/")[0]
    stale, fresh = page, page.context.new_page()
    for tab in (stale, fresh):
        tab.goto(f"{lesion}edit/")
    bleeds = "It bleeds or crusts."
    fresh.get_by_label(bleeds).check()
    fresh.get_by_role("button", name="Save").click()
    fresh.wait_for_url(lesion)

    stale.get_by_label("Name").fill("Right forearm")
    stale.get_by_role("button", name="Save").click()
    expect(stale.get_by_role("alert")).to_contain_text("changed since you opened the page")
    expect(stale.get_by_text("Now: marked. You entered: not marked.").first).to_be_visible()
    expect(stale.get_by_label(bleeds)).to_be_checked()
    expect(stale.get_by_label("Name")).to_have_value("Right forearm")
    is_sound(stale)
    stale.get_by_role("button", name="Save").click()
    stale.wait_for_url(lesion)
    expect(stale.get_by_role("heading", level=1)).to_contain_text("Right forearm")
    stale.goto(f"{lesion}edit/")
    expect(stale.get_by_label(bleeds)).to_be_checked()


def test_a_session_that_ended_while_typing_loses_nothing(
    open_page: Callable[..., Page], site: Site
) -> None:
    page = open_page()
    log_in(page, site)
    page.goto("/patients/new/")
    page.get_by_label("Name").fill("Typed for long")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Email").fill(CLINICIAN)
    page.get_by_label("Password", exact=True).fill(site.passwords[CLINICIAN])
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.locator("#unsaved")).to_contain_text("Not saved yet.")
    expect(page.get_by_label("Name")).to_have_value("Typed for long")
    is_sound(page)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Typed for long")
