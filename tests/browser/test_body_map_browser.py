"""The body map by mouse, touch and keyboard, on a phone and on a desktop."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1280, "height": 900}}
SHOWN = re.compile(r"\bis-shown\b")
numbers = count(1)


@pytest.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
def page(
    request: pytest.FixtureRequest, open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> Page:
    """On the page of a patient without lesions."""
    page = open_page(**request.param, storage_state=signed_in)
    page.goto("/patients/new/")
    page.get_by_label("Name").fill(f"Map {next(numbers)} {request.node.name[-40:]}")
    page.get_by_role("button", name="Register").or_(page.locator("form .btn-primary")).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Map")
    return page


def body_map(page: Page) -> Locator:
    return page.locator("[data-map]")


def at(page: Page, x: float, y: float) -> None:
    """Click on a point of the map, in its own units: the front is 0 to 220, the back 220 to 440."""
    body_map(page).scroll_into_view_if_needed()
    box = body_map(page).bounding_box()
    assert box is not None
    body_map(page).click(position={"x": x / 440 * box["width"], "y": y / 444 * box["height"]})


def add_lesion(page: Page, label: str, x: float, y: float) -> None:
    """Starts and ends on the patient's page."""
    address = page.url
    page.goto(f"{address}lesions/new/")
    at(page, x, y)
    page.get_by_label("Name").fill(label)
    page.get_by_role("button", name="Continue to the picture").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Add picture")
    page.goto(address)


def point(page: Page, label: str) -> Locator:
    return page.locator(".map-point", has_text=re.compile(r"\d")).and_(
        page.locator(f"[aria-label*='{label}']")
    )


def row(page: Page, label: str) -> Locator:
    return page.locator(".row-item", has_text=label)


def test_place_a_new_lesion_by_click(page: Page) -> None:
    page.get_by_role("link", name="Add a lesion").first.click()
    at(page, 135, 118)
    expect(page.locator("[data-said]")).to_have_text("Chosen: Left chest.")
    expect(page.get_by_label("Body site")).to_have_value("chest")
    expect(page.get_by_label("Or a region from the list")).to_have_value("front//chest")

    at(page, 330, 60)  # another point: the values filled in by the map follow
    expect(page.locator("[data-said]")).to_have_text("Chosen: Scalp, back.")
    expect(page.get_by_label("Body site")).to_have_value("scalp")
    page.get_by_label("Body site").select_option("neck")  # corrected: stays
    at(page, 330, 130)
    expect(page.get_by_label("Body site")).to_have_value("neck")

    page.get_by_label("Name").fill("By click")
    page.get_by_role("button", name="Continue to the picture").click()
    page.get_by_role("link", name=re.compile("^Map ")).click()
    expect(point(page, "1: By click, Upper back")).to_be_visible()
    expect(row(page, "By click")).to_contain_text("Neck")


def test_place_a_new_lesion_by_keys(page: Page) -> None:
    page.goto(f"{page.url}lesions/new/")
    body_map(page).focus()
    for _ in range(3):
        page.keyboard.press("Shift+ArrowUp")
    expect(page.locator("[data-said]")).to_have_text("Neck, front")
    for key in ("Shift+ArrowDown", "Shift+ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("[data-said]")).to_have_text("Right chest")
    expect(page.locator("input[name=x]")).to_have_value("")  # aimed at, not chosen yet
    page.keyboard.press("Enter")
    expect(page.locator("[data-said]")).to_have_text("Chosen: Right chest.")
    page.keyboard.press("Tab")
    page.get_by_label("Name").fill("By keys")
    page.get_by_label("Name").press("Enter")
    page.get_by_role("link", name=re.compile("^Map ")).click()
    expect(point(page, "1: By keys, Right chest")).to_be_visible()


def test_a_region_of_the_list_is_a_place_too(page: Page) -> None:
    page.goto(f"{page.url}lesions/new/")
    page.get_by_label("Or a region from the list").select_option("back/left/sole")
    expect(page.locator("[data-said]")).to_have_text("Chosen: Left sole.")
    expect(page.locator("[data-pin]")).to_be_visible()
    expect(page.get_by_label("Body site")).to_have_value("acral")
    page.get_by_label("Or a region from the list").select_option("")
    expect(page.locator("input[name=x]")).to_have_value("")
    expect(page.locator("[data-pin]")).to_be_hidden()


def test_beside_the_body_nothing_is_chosen(page: Page) -> None:
    page.goto(f"{page.url}lesions/new/")
    at(page, 60, 420)
    expect(page.locator("[data-said]")).to_contain_text("beside the body")
    expect(page.locator("input[name=x]")).to_have_value("")


def test_the_list_and_the_map_show_one_another(page: Page) -> None:
    add_lesion(page, "First", 135, 118)
    add_lesion(page, "Second", 330, 130)
    row(page, "First").hover()
    expect(point(page, "First")).to_have_class(SHOWN)
    expect(point(page, "Second")).not_to_have_class(SHOWN)
    row(page, "Second").locator(".row-link").focus()
    expect(point(page, "Second")).to_have_class(SHOWN)

    point(page, "First").hover()
    expect(row(page, "First")).to_have_class(SHOWN)
    expect(row(page, "Second").locator(".row-link")).to_be_focused()

    point(page, "Second").click()  # leads to its row
    expect(row(page, "Second")).to_be_in_viewport()
    expect(row(page, "Second")).to_have_class(SHOWN)
    row(page, "First").locator(".row-number").click()  # and back to the map
    expect(point(page, "First")).to_be_in_viewport()
    expect(point(page, "First")).to_have_class(SHOWN)
    expect(row(page, "Second")).not_to_have_class(SHOWN)


def test_a_place_on_the_patients_page_leads_to_a_new_lesion_there(page: Page) -> None:
    add_lesion(page, "First", 135, 118)
    expect(page.get_by_role("link", name="Add a lesion here")).to_be_hidden()
    at(page, 80, 270)
    expect(page.locator("[data-said]")).to_have_text("Right thigh, front.")
    page.get_by_role("link", name="Add a lesion here").click()
    expect(page.locator("[data-said]")).to_have_text("Chosen: Right thigh, front.")
    expect(page.get_by_label("Body site")).to_have_value("lower extremity")

    page.go_back()
    body_map(page).focus()
    for key in ("Shift+ArrowUp", "Enter", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**/lesions/new/?**")
    expect(page.locator("[data-said]")).to_have_text("Chosen: Chest.")


def test_zoom_and_pan(page: Page) -> None:
    page.goto(f"{page.url}lesions/new/")
    seen = "document.querySelector('[data-map]').viewBox.baseVal"
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    assert page.evaluate(f"{seen}.width") == pytest.approx(440 / 1.5**3)
    before = page.evaluate(f"{seen}.x")
    box = body_map(page).bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1], steps=4)
    page.mouse.up()
    assert page.evaluate(f"{seen}.x") < before
    expect(page.locator("input[name=x]")).to_have_value("")  # panning chose nothing
    page.get_by_role("button", name="Whole body").click()
    assert page.evaluate(f"{seen}.width") == 440


def test_a_move_stays_in_the_history(page: Page) -> None:
    add_lesion(page, "Wanderer", 135, 118)
    page.locator(".row-link", has_text="Wanderer").click()
    page.locator(".position > summary").click()
    page.get_by_role("link", name="Move").click()
    expect(page.locator("[data-said]")).to_have_text("Chosen: Left chest.")
    at(page, 330, 130)
    page.get_by_role("button", name="Keep this place").click()
    history = page.locator(".position-history")
    expect(history).to_contain_text("Moved to Upper back")
    expect(history).to_contain_text("Placed at Left chest")
