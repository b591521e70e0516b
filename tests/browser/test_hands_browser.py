"""The main paths by keyboard alone; all pages at 200 % zoom, and without motion."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests import cases
from tests.browser.conftest import CLINICIAN, DESKTOP, PAGES, Site, is_ready, is_sound
from tests.stack.installation import wait_until

pytestmark = pytest.mark.browser
MOST_TABS = 150
UNSEEN = """async () => {
    const one = document.activeElement;
    if (one === document.body) return "";
    await Promise.all(one.getAnimations().map((motion) => motion.finished));
    const box = one.getBoundingClientRect();
    // A row shows that its link has the focus.
    const around = [one, one.parentElement, one.parentElement.parentElement];
    const isMarked = around.some((each) => getComputedStyle(each).outlineStyle !== "none");
    const isAcross = box.right > 0 && box.left < innerWidth;
    const isDown = box.bottom > 0 && box.top < innerHeight;
    if (isMarked && isAcross && isDown) return "";
    const where = [box.left, box.top, box.right, box.bottom].map(Math.round);
    const why = isMarked ? `at ${where} of ${innerWidth}x${innerHeight}` : "not marked";
    const page = document.hasFocus() ? "" : " of a page without the focus";
    return `${why}${page}: ${one.outerHTML.slice(0, 160)}`;
}"""
"""What has the focus unseen; empty if it is seen."""


def expect_seen(page: Page) -> None:
    """What has the focus is seen, at the latest when the page no longer moves."""
    deadline = time.monotonic() + 10
    while unseen := page.evaluate(UNSEEN):
        assert time.monotonic() < deadline, f"has the focus, and is not seen: {unseen}"


def tab_to(page: Page, one: Locator, key: str = "Tab") -> None:
    """With the key alone. On the way, whatever has the focus shows it."""
    expect(one).to_be_attached()
    is_ready(page)
    for _ in range(MOST_TABS):
        page.keyboard.press(key)
        expect_seen(page)
        if one.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"{one} has no place in the order of Tab")


def enter(page: Page, site: Site) -> None:
    page.goto("/accounts/login/")
    tab_to(page, page.get_by_label("Email"))
    page.keyboard.type(CLINICIAN)
    tab_to(page, page.get_by_label("Password", exact=True))
    page.keyboard.type(site.passwords[CLINICIAN])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/")


def test_a_review_is_signed(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(**DESKTOP)
    enter(page, site)
    tab_to(page, page.get_by_role("navigation").get_by_role("link", name="Worklist").first)
    page.keyboard.press("Enter")
    page.wait_for_url("**/worklist/**")
    page.goto("/worklist/?reviewed=all")
    tab_to(page, page.locator("[data-row][href^='/worklist/']").first)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/worklist/.+-.+"))
    address = page.url
    form = page.locator("form[data-review]")
    tab_to(page, form.get_by_role("radio").first)
    page.keyboard.press("Space")
    expect(form.get_by_role("radio").first).to_be_checked()
    tab_to(page, form.locator("[name=management]").first)
    excise = form.get_by_label("Excise or biopsy")
    for _ in range(6):  # within a group, arrows choose
        if not excise.is_checked():
            page.keyboard.press("ArrowDown")
    expect(excise).to_be_checked()
    tab_to(page, form.get_by_role("button", name="Sign"))
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url != address)
    expect(page.locator("#messages")).to_contain_text("is signed")


def test_a_picture_is_added(
    open_page: Callable[..., Page], site: Site, addresses: dict[str, str], tmp_path: Path
) -> None:
    picture = tmp_path / "spot.png"
    picture.write_bytes(cases.encoded(cases.spot().rotate(17), "PNG"))
    page = open_page(**DESKTOP)
    enter(page, site)
    page.goto(addresses["patient"])
    tab_to(page, page.get_by_role("main").get_by_role("link", name="Growing spot", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url("**/lesions/*/")
    tab_to(page, page.get_by_role("main").get_by_role("link", name="Add picture").first)
    page.keyboard.press("Enter")
    page.wait_for_url("**/images/new/", wait_until="networkidle")
    tab_to(page, page.get_by_role("button", name="Choose pictures"))
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(picture)
    row = page.locator(".upload")
    tab_to(page, row.get_by_label("Taken on"))
    tab_to(page, row.get_by_label("Kind"))
    page.keyboard.press("ArrowDown")
    expect(row.get_by_label("Kind")).to_have_value("clinical")
    page.keyboard.press("ArrowUp")
    tab_to(page, page.get_by_role("button", name="Add 1 picture"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/images/[0-9a-f-]{36}/$"), timeout=60_000)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Growing spot")


def test_two_pictures_are_compared(
    open_page: Callable[..., Page], signed_in: dict[str, Any], addresses: dict[str, str]
) -> None:
    page = open_page(**DESKTOP, storage_state=signed_in)
    page.goto(addresses["lesion"])
    tab_to(page, page.get_by_role("main").get_by_role("link", name="Compare", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare/**")
    expect(page.locator("[data-compare]")).to_have_attribute("data-ready", "")
    tab_to(page, page.get_by_role("button", name="Slider"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Slider")).to_have_attribute("aria-pressed", "true")
    cut = page.get_by_role("slider", name="Earlier to later")
    tab_to(page, cut)
    before = cut.input_value()
    page.keyboard.press("ArrowRight")
    expect(cut).not_to_have_value(before)
    tab_to(page, page.get_by_role("button", name="Side by side"), "Shift+Tab")
    page.keyboard.press("Space")
    tab_to(page, page.locator(".stage").first)
    page.keyboard.press("+")
    expect(page.locator("[data-scale]")).not_to_have_text("100 %")
    page.keyboard.press("0")
    expect(page.locator("[data-scale]")).to_have_text("100 %")


def test_a_number_leads_to_the_body_map(
    open_page: Callable[..., Page], signed_in: dict[str, Any], addresses: dict[str, str]
) -> None:
    page = open_page(**DESKTOP, storage_state=signed_in)
    page.goto(addresses["patient"])
    number = page.locator("a.row-number").first
    tab_to(page, number)
    assert number.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator(".map-point:focus, .map-point:target").first).to_be_attached()


def test_all_pages_at_200_per_cent(
    open_page: Callable[..., Page],
    addresses: dict[str, str],
    signed_in: dict[str, Any],
) -> None:
    """A window of 1280 x 800 at that zoom: half as wide and high, twice as dense."""
    page = open_page(
        storage_state=signed_in, viewport={"width": 640, "height": 400}, device_scale_factor=2
    )
    for name in PAGES:
        page.goto(addresses[name], wait_until="networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 640, name
        assert not page.evaluate(CUT_OFF), name
    is_sound(page)


CUT_OFF = """() => [...document.querySelectorAll("main button, main a.btn, main h1")]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
    .filter((one) => getComputedStyle(one).overflowX !== "visible")
    .map((one) => one.outerHTML.slice(0, 120))"""


def test_text_at_200_per_cent(
    open_page: Callable[..., Page],
    addresses: dict[str, str],
    signed_in: dict[str, Any],
) -> None:
    """The browser's own text size, on a narrow window."""
    page = open_page(storage_state=signed_in, viewport={"width": 640, "height": 800})
    for name in PAGES:
        page.goto(addresses[name], wait_until="networkidle")
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate("document.documentElement.scrollWidth") <= 640, name


MOVING = """() => {
    const time = (one) => parseFloat(one) * (one.includes("ms") ? 0.001 : 1);
    const longest = (text) => Math.max(...text.split(",").map(time));
    return [...document.querySelectorAll("*")].filter((one) => {
        const style = getComputedStyle(one);
        const moves = Math.max(longest(style.transitionDuration), longest(style.animationDuration));
        return moves > 0.001 || style.scrollBehavior === "smooth";
    }).map((one) => one.outerHTML.slice(0, 120));
}"""


def test_nothing_moves_for_who_wants_no_motion(
    open_page: Callable[..., Page],
    addresses: dict[str, str],
    signed_in: dict[str, Any],
) -> None:
    page = open_page(storage_state=signed_in, reduced_motion="reduce", **DESKTOP)
    for name in PAGES:
        page.goto(addresses[name], wait_until="networkidle")
        assert page.evaluate(MOVING) == [], name
        # What a style sheet cuts to an instant is over within a frame.
        wait_until(lambda: not page.evaluate("document.getAnimations().length"), name, 10)
