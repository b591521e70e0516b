"""Large pictures come in the size of a screen, and whole when they are zoomed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from screening.images import synthetic
from tests.browser.conftest import PHONE, Site
from tests.stack.installation import wait_until

pytestmark = pytest.mark.browser
READ_WITHIN = 60_000  # milliseconds; beside other tests it takes long
LARGE = (2000, 1500)


def width_of(picture: Locator) -> Any:
    return picture.evaluate("async image => { await image.decode(); return image.naturalWidth }")


def test_the_whole_picture_comes_with_the_first_zoom(
    open_page: Callable[..., Page], signed_in: dict[str, Any], site: Site, tmp_path: Path
) -> None:
    page = open_page(storage_state=signed_in, **PHONE)
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="Add a lesion", exact=True).first.click()
    page.get_by_label("Name", exact=False).first.fill("Large spot")
    page.get_by_role("button", name=re.compile("Continue")).click()
    page.wait_for_url("**/images/new/")
    lesion = page.url.removesuffix("images/new/")
    for day, radius in {"2026-01-12": 0.13, "2026-07-12": 0.2}.items():
        path = tmp_path / f"{day}.jpg"
        drawn = synthetic.draw_lesion(seed=41, radius=radius).resize(LARGE)
        path.write_bytes(synthetic.jpeg(drawn))
        page.goto(f"{lesion}images/new/")
        page.locator("input[name=file]").set_input_files(path)
        page.locator(".upload").get_by_label("Taken on").fill(day)
        page.get_by_role("button", name="Add 1 picture").click()
        page.wait_for_url("**/images/*/", timeout=READ_WITHIN)
        expect(page.locator("#reading .advice")).to_be_visible(timeout=READ_WITHIN)
    picture = page.locator(".viewer .layers img").first
    assert width_of(picture) == 1600
    page.get_by_role("button", name="Zoom in").click()
    expect(picture).to_have_attribute("src", re.compile("/image$"))
    assert width_of(picture) == 2000

    pk = lesion.rstrip("/").rpartition("/")[2].replace("-", "")
    compared = (
        "SELECT COUNT(*) FROM screening_comparison c JOIN screening_lesionimage i "
        f"ON i.id = c.later_id WHERE i.lesion_id = '{pk}'"
    )
    wait_until(lambda: site.installation.query(compared) == [(1,)], "they are compared")
    page.goto(lesion)
    assert width_of(page.locator(".lesion-picture img")) == 1600
    page.goto(f"{lesion}compare/")
    expect(page.locator("[data-compare]")).to_have_attribute("data-ready", "")
    drawn = page.locator("[data-side=later] canvas")
    expect(drawn).to_have_attribute("width", "1200")
    box = page.locator("[data-outline=later] [data-moved]").first.bounding_box()
    page.get_by_role("button", name="Zoom in").click()
    expect(drawn).to_have_attribute("width", "2000")
    page.get_by_role("button", name="Show all of it").click()
    assert page.locator("[data-outline=later] [data-moved]").first.bounding_box() == box
