"""Outline and evidence over the picture: they arrive with the reading, and keys toggle them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, is_sound

pytestmark = pytest.mark.browser


@pytest.fixture
def result(open_page: Callable[..., Page], signed_in: dict[str, Any], shared_data: Path) -> Page:
    """The page of a real image whose reading arrived while it was open."""
    page = open_page(storage_state=signed_in, **PHONE)
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="New spot").first.click()
    page.get_by_role("link", name="Add picture").first.click()  # of the bar
    picture = shared_data / "ham10000" / "images_200x150" / "ISIC_0027063.jpg"
    page.locator("input[name=file]").set_input_files(picture)
    page.locator(".upload").get_by_label("Taken on").fill(date(2026, 3, 14).isoformat())
    page.get_by_role("button", name="Add 1 picture").click()
    page.wait_for_url(re.compile(r"/images/[0-9a-f-]{36}/$"), timeout=20_000)
    expect(page.locator("#reading .advice")).to_be_visible(timeout=20_000)
    return page


def test_outline_and_evidence_are_switched_faded_and_zoomed(result: Page) -> None:
    outline = result.locator(".layers [data-overlay=outline]")
    evidence = result.locator(".layers [data-overlay=evidence]")
    explained = result.locator("#evidence")
    expect(outline).to_be_visible()
    expect(evidence).to_be_hidden()
    expect(explained).to_be_hidden()
    whole = outline.bounding_box()
    result.get_by_role("button", name="Zoom in").click()
    zoomed = outline.bounding_box()
    assert whole is not None
    assert zoomed is not None
    assert zoomed["width"] == pytest.approx(whole["width"] * 1.4, rel=0.03)

    switch = result.get_by_role("button", name="Evidence")
    switch.press("Space")
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(evidence).to_be_visible()
    expect(explained).to_contain_text("It is not the border of the spot, and proves nothing.")
    shown = evidence.get_attribute("href")
    result.get_by_label("Evidence for").select_option("vasc")
    expect(explained).to_contain_text("vascular lesion")
    assert evidence.get_attribute("href") != shown

    result.get_by_label("Opacity").press("ArrowLeft")
    expect(result.locator("[data-drawing]")).to_have_css("opacity", "0.9")
    result.get_by_role("button", name="Outline").press("Enter")
    expect(outline).to_be_hidden()

    for control in result.locator(".overlay-tools button, .overlay-tools input").all():
        assert control.bounding_box()["height"] >= 44
    is_sound(result)
