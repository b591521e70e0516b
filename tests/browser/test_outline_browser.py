"""An outline drawn with fingers on a phone: zoom, magnifier, fewer points, by hand, undone."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import CDPSession, Locator, Page, expect

from tests.browser.conftest import PHONE, Site, is_sound

pytestmark = pytest.mark.browser


@pytest.fixture
def page(open_page: Callable[..., Page], signed_in: dict[str, Any], site: Site) -> Page:
    """The outline of a picture on a phone whose pointer is a finger."""
    [(image,)] = site.installation.query(
        "SELECT i.id FROM screening_lesionimage i JOIN screening_lesion l ON l.id = i.lesion_id "
        "JOIN screening_measurement m ON m.image_id = i.id "
        "LEFT JOIN screening_outline o ON o.image_id = i.id "
        "WHERE l.label = 'Growing spot' AND o.id IS NULL ORDER BY i.captured_on DESC LIMIT 1"
    )
    page = open_page(storage_state=signed_in, is_mobile=True, **PHONE)
    page.goto(f"/images/{UUID(str(image))}/outline/")
    expect(page.locator("[data-n]").first).to_be_visible()
    return page


@pytest.fixture
def touch(page: Page) -> Callable[..., None]:
    """touch(kind, *fingers): the fingers that are on the screen now, each x and y."""
    session: CDPSession = page.context.new_cdp_session(page)

    def send(kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    return send


def middle(one: Locator) -> tuple[float, float]:
    box = one.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_each_point_can_be_touched_and_undo_brings_back_the_others(page: Page) -> None:
    count = page.locator("[data-count]")
    expect(count).to_contain_text("so that a finger can tell them apart")
    shown = page.locator("[data-n]").count()
    page.get_by_role("button", name="Undo").click()
    whole = page.locator("[data-n]").count()
    assert shown < whole
    expect(count).to_have_text(f"{whole} points")
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.get_by_role("button", name="Fewer points").click()
    expect(page.locator("[data-n]")).to_have_count((whole + 1) // 2)
    is_sound(page)


def test_a_finger_moves_a_point_under_a_magnifier(page: Page, touch: Callable[..., None]) -> None:
    points, lens = page.locator("[data-points]"), page.locator("[data-lens]")
    before = points.input_value().split()
    x, y = middle(page.locator("[data-n='2'] .dot"))
    scrolled = page.evaluate("scrollY")
    touch("touchStart", (x, y))
    expect(lens).to_be_visible()
    for step in (8, 16, 24):
        touch("touchMove", (x + step / 2, y + step))
    assert lens.evaluate(COLOURS) > 20  # it shows the picture
    touch("touchEnd")
    expect(lens).to_be_hidden()
    after = points.input_value().split()
    moved = [n for n, place in enumerate(before) if after[n] != place]
    assert (moved, len(after)) == ([2], len(before))
    assert page.evaluate("scrollY") == scrolled  # the page stays
    page.get_by_role("button", name="Undo").click()
    assert points.input_value().split() == before


COLOURS = """lens => new Set(new Uint32Array(
    lens.getContext("2d").getImageData(0, 0, lens.width, lens.height).data.buffer)).size"""


def test_two_fingers_zoom_and_move_no_point(page: Page, touch: Callable[..., None]) -> None:
    points, scale = page.locator("[data-points]"), page.locator("[data-scale]")
    before = points.input_value()
    x, y = middle(page.locator("[data-n='0'] .dot"))
    size = page.locator("[data-n='0'] .dot").bounding_box()
    touch("touchStart", (x, y))  # the first finger lands on a point
    touch("touchStart", (x, y), (x + 60, y))
    for step in (30, 60):
        touch("touchMove", (x - step, y), (x + 60 + step, y))
    touch("touchEnd")
    expect(scale).not_to_have_text("100 %")
    assert points.input_value() == before
    zoomed = page.locator("[data-n='0'] .dot").bounding_box()
    assert size is not None
    assert zoomed is not None
    assert zoomed["width"] == pytest.approx(size["width"], abs=1)  # as large as before


def test_a_line_by_hand_becomes_the_outline(page: Page, touch: Callable[..., None]) -> None:
    by_hand = page.get_by_role("button", name="Draw by hand")
    by_hand.click()
    expect(by_hand).to_have_attribute("aria-pressed", "true")
    x, y = middle(page.locator(".stage"))
    ring = [(x + 70 * cos(n * pi / 20), y + 60 * sin(n * pi / 20)) for n in range(39)]
    touch("touchStart", ring[0])
    for place in ring[1:]:
        touch("touchMove", place)
    touch("touchEnd")
    expect(by_hand).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[data-n]")).to_have_count(24)
    is_sound(page)
    page.get_by_role("button", name="Keep this outline").click()
    expect(page.locator("#messages")).to_contain_text("The outline is saved")
