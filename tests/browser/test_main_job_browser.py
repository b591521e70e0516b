"""The main task in a real browser: sign in, add an image, read the result, come back to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from screening.predictions.advice import DISCLAIMER
from tests.browser.conftest import Site, drawn, log_in

pytestmark = pytest.mark.browser

OUTCOME = re.compile("Urgent|See a doctor|Monitor|Not assessable")
READ_WITHIN = 60_000  # milliseconds; beside other tests it takes long


@pytest.fixture(params=["real", "drawn"])
def picture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "drawn":
        return drawn(tmp_path, seed=101)
    folder: Path = request.getfixturevalue("shared_data") / "ham10000" / "images_224"
    return sorted(folder.glob("*.jpg"))[0]


def _go_to_upload(page: Page) -> None:
    """From the home page, by the links that a person would follow."""
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="New spot").first.click()
    page.get_by_role("main").get_by_role("link", name="Add picture").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Add picture")


def test_sign_in_add_an_image_see_the_result(
    open_page: Callable[..., Page], site: Site, picture: Path
) -> None:
    page = open_page()
    log_in(page, site)
    _go_to_upload(page)
    page.locator("input[name=file]").set_input_files(picture)
    page.locator(".upload").get_by_label("Taken on").fill("2026-03-12")
    page.get_by_role("button", name="Add 1 picture").click()

    page.wait_for_url(re.compile(r"/images/[0-9a-f-]{36}/$"), timeout=READ_WITHIN)
    result = page.locator("#reading .advice")
    expect(result).to_be_visible(timeout=READ_WITHIN)
    expect(result).to_contain_text(OUTCOME)
    expect(page.locator("body")).to_contain_text(DISCLAIMER)
    # Without a reload: the page polls for the measurements after the reading.
    expect(page.locator("#measures")).to_contain_text("Measured within", timeout=READ_WITHIN)
    address = page.url

    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="New spot").first.click()
    entry = page.locator(f"a[href='{address.removeprefix(site.url)}']:visible")
    expect(entry.filter(has_text="12 Mar 2026").first).to_be_visible()


def test_one_broken_file_does_not_hold_up_the_others(
    open_page: Callable[..., Page], signed_in: dict[str, Any], tmp_path: Path
) -> None:
    page = open_page(storage_state=signed_in)
    _go_to_upload(page)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(drawn(tmp_path, seed=102).read_bytes()[:3000])
    good = [drawn(tmp_path, seed=seed) for seed in (103, 104)]
    page.locator("input[name=file]").set_input_files([good[0], broken, good[1]])
    page.get_by_role("button", name="Add 3 pictures").click()

    rows = page.locator(".upload")
    expect(rows).to_have_count(3)
    for row, path in ((0, good[0]), (1, broken), (2, good[1])):
        expect(rows.nth(row)).to_contain_text(path.name)
    expect(rows.nth(0)).to_contain_text("Open the result", timeout=READ_WITHIN)
    expect(rows.nth(1)).to_contain_text("damaged", timeout=READ_WITHIN)
    expect(rows.nth(2)).to_contain_text("Open the result", timeout=READ_WITHIN)

    rows.nth(2).get_by_role("link").click()
    expect(page.locator("#reading .advice")).to_contain_text(OUTCOME, timeout=READ_WITHIN)


def test_it_works_without_scripts(
    open_page: Callable[..., Page], signed_in: dict[str, Any], tmp_path: Path
) -> None:
    page = open_page(storage_state=signed_in, java_script_enabled=False)
    _go_to_upload(page)
    page.locator("input[name=file]").set_input_files(drawn(tmp_path, seed=105))
    page.get_by_role("button", name="Add", exact=True).click()

    page.wait_for_url(re.compile(r"/images/[0-9a-f-]{36}/$"), timeout=READ_WITHIN)
    # The page reloads itself until the image is read.
    expect(page.locator("#reading .advice")).to_contain_text(OUTCOME, timeout=READ_WITHIN)
