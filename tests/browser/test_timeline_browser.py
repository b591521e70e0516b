"""A lesion over time in a real browser: two images, the timeline, the four views of a comparison,
an outline corrected by mouse and by keyboard, an alert closed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from screening.images import synthetic
from tests.browser.conftest import Site, is_sound
from tests.stack.installation import wait_until

pytestmark = pytest.mark.browser

SCREENS = {
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
    "desktop": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
}
GROWN = {"2026-01-12": (0.13, 0.0), "2026-07-12": (0.22, 0.95)}
"""Day of capture: radius and dark side of the synthetic lesion."""


@pytest.fixture(params=SCREENS)
def page(
    request: pytest.FixtureRequest, open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> Page:
    return open_page(storage_state=signed_in, **SCREENS[request.param])


def followed(context: BrowserContext, site: Site) -> str:
    """The path of a new lesion with two images, the later one added first, both read."""
    query = site.installation.query
    [(patient,)] = query("SELECT id FROM screening_patient WHERE label = 'Demo patient 1'")
    context.request.get("/patients/")  # sets the cookie
    (token,) = (one["value"] for one in context.cookies() if one["name"] == "csrftoken")

    def post(kind: str, **sent: Any) -> str:
        answer = context.request.post(f"/api/v1/{kind}/", headers={"X-CSRFToken": token}, **sent)
        assert answer.ok, answer.text()
        return str(answer.json()["id"])

    named = {"patient": patient, "label": "Followed spot", "body_site": "back"}
    lesion = post("lesions", data=named)
    for day, (radius, dark) in reversed(GROWN.items()):
        drawn = synthetic.draw_lesion(seed=31, radius=radius, dark_side=dark)
        # Different bytes for each lesion: a picture that exists on another one prompts a question.
        content = synthetic.jpeg(drawn) + lesion.encode()
        file = {"name": f"{day}.jpg", "mimeType": "image/jpeg", "buffer": content}
        post("images", multipart={"lesion": lesion, "captured_on": day, "file": file})
    pk = lesion.replace("-", "")
    measured = (
        "SELECT COUNT(*) FROM screening_measurement m JOIN screening_lesionimage i "
        f"ON i.id = m.image_id WHERE i.lesion_id = '{pk}'"
    )
    alerted = f"SELECT COUNT(*) FROM screening_alert WHERE lesion_id = '{pk}'"
    wait_until(lambda: query(measured) == [(2,)], "both are measured")
    wait_until(lambda: query(alerted) > [(0,)], "they are compared")
    return f"/lesions/{lesion}/"


@pytest.fixture(scope="module")
def shared(browser: Browser, site: Site, signed_in: dict[str, Any]) -> str:
    """For tests that change nothing."""
    context = browser.new_context(base_url=site.url, storage_state=signed_in)
    found = followed(context, site)
    context.close()
    return found


@pytest.fixture
def shared_lesion(page: Page, shared: str) -> str:
    page.goto(shared)
    return shared


@pytest.fixture
def lesion(page: Page, site: Site) -> str:
    found = followed(page.context, site)
    page.goto(found)
    return found


def test_images_stand_on_one_axis_by_day_of_capture(page: Page, shared_lesion: str) -> None:
    chart = page.locator("[data-chart='over-time']")
    expect(chart).not_to_be_visible()  # folded, and drawn when it is opened
    page.locator("#readings-fold > summary").click()
    page.locator("#measures-fold > summary").click()
    expect(chart.locator(".plot-container")).to_be_visible()
    expect(page.locator("[data-chart='measures-over-time'] .plot-container")).to_be_visible()
    page.locator("#over-time-table > summary").click()
    days = page.locator("#over-time-table tbody tr", has_text="Picture").locator("th")
    expect(days).to_have_text(["12 Jul 2026", "12 Jan 2026"])
    expect(page.locator("#over-time-table tbody tr", has_text="Alert").first).to_be_visible()
    page.locator("#measures-over-time-table > summary").click()
    expect(page.locator("#measures-over-time-table tbody tr")).to_have_count(2)
    expect(page.locator("#measures-over-time-table")).not_to_contain_text(re.compile(r"\d\smm"))
    is_sound(page)
    page.goto(f"{shared_lesion}images/new/")
    guide = page.get_by_alt_text(re.compile("The last picture of Followed spot, 12 Jul 2026"))
    expect(guide).to_be_visible()
    is_sound(page)


def test_what_matters_is_on_one_screen(page: Page, shared_lesion: str) -> None:
    size = page.viewport_size
    assert size is not None
    bar = page.locator(".rail").bounding_box() if size["width"] < 992 else None
    bottom = bar["y"] if bar else size["height"]
    for part in (".lesion-picture img", "#standing-title", "#since-title"):
        found = page.locator(part)
        expect(found).to_be_visible()
        box = found.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= bottom, part
    days = page.locator(".strip .row-link")
    expect(days).to_have_text(["12 Jul 2026", "12 Jan 2026"])
    is_sound(page)


def test_a_patients_timeline(page: Page, shared_lesion: str) -> None:
    page.get_by_label("Breadcrumb").get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="Over time").click()
    expect(page.locator("[data-chart='lesions-over-time'] .plot-container")).to_be_visible()
    is_sound(page)
    page.get_by_role("main").get_by_role("link", name="Growing spot").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Growing spot")


def test_the_four_views_of_a_comparison(page: Page, lesion: str) -> None:
    page.get_by_role("link", name="Compare", exact=True).click()
    root = page.locator("[data-compare]")
    expect(root).to_have_attribute("data-ready", "")
    earlier, later = root.locator(".stage").all()
    expect(later).to_be_visible()
    _zoom_in_step(page, earlier, later)

    top = root.locator("canvas[data-top]")
    page.get_by_role("button", name="Slider").click()
    expect(later).not_to_be_visible()
    cut = page.get_by_label("Earlier to later")
    before = top.evaluate("node => node.style.clipPath")
    cut.press("ArrowRight")
    assert top.evaluate("node => node.style.clipPath") != before
    box = earlier.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    page.mouse.up()
    expect(cut).to_have_value("75")

    page.get_by_role("button", name="Blink").click()
    told = page.locator("[data-blinked]")
    expect(told).to_have_text("Earlier")  # it does not start by itself
    page.get_by_label("Pictures per second").fill("3")
    page.get_by_role("button", name="Start").click()
    expect(told).to_have_text("Later")
    expect(told).to_have_text("Earlier")
    page.get_by_role("button", name="Stop").click()

    page.get_by_role("button", name="Difference").click()
    matched = top.evaluate(DRAWN)
    assert len(matched) > 2000  # a picture, not a blank
    light = page.get_by_role("button", name="Same light")
    light.click()
    expect(light).to_have_attribute("aria-pressed", "false")
    assert top.evaluate(DRAWN) != matched
    page.get_by_role("button", name="Outlines").click()
    expect(root.locator(".overlay").first).not_to_be_visible()

    expect(page.get_by_role("row", name=re.compile("^Area"))).to_contain_text("px²")
    is_sound(page)
    page.get_by_label("Yes, it changed").check()
    page.get_by_label("Note").fill("Darker on the right.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#marks")).to_contain_text("Darker on the right.")
    page.goto(lesion)
    page.locator("#readings-fold > summary").click()
    page.locator("#over-time-table > summary").click()
    expect(page.locator("#over-time-table tbody tr", has_text="Looked at")).to_contain_text(
        "Changed"
    )


DRAWN = "node => node.toDataURL()"


def test_blinking_honours_reduced_motion(
    open_page: Callable[..., Page], signed_in: dict[str, Any], site: Site
) -> None:
    page = open_page(storage_state=signed_in, reduced_motion="reduce")
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="Growing spot").first.click()
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page.locator("[data-compare]")).to_have_attribute("data-ready", "")
    page.get_by_role("button", name="Blink").click()
    told = page.locator("[data-blinked]")
    expect(page.get_by_label("Pictures per second")).not_to_be_visible()
    page.get_by_role("button", name="Other picture").click()
    expect(told).to_have_text("Later")
    page.wait_for_timeout(1500)
    expect(told).to_have_text("Later")  # nothing moves by itself


def test_an_outline_is_corrected_by_mouse_and_by_keyboard(page: Page, lesion: str) -> None:
    page.locator("#course").get_by_role("link", name="12 Jul 2026", exact=True).click()
    page.wait_for_url("**/images/*/")
    area = page.get_by_role("row", name=re.compile("^Area"))
    page.locator("#measures-fold > summary").click()
    by_model = area.inner_text()
    page.get_by_role("link", name="Correct the outline").click()
    points = page.locator("[data-points]")
    last = page.locator("[data-n]").last  # where points lie close, the last one is on top
    last.evaluate("point => point.scrollIntoView({ block: 'center' })")
    drawn = points.input_value()  # on a phone, once the script has kept fewer of them
    box = last.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 6, y - 4, steps=3)
    page.mouse.up()
    moved = points.input_value()
    assert moved.split()[-1] != drawn.split()[-1]
    assert moved.split()[:-1] == drawn.split()[:-1]

    count = page.locator("[data-n]").count()
    page.locator("[data-n='3']").focus()
    page.keyboard.press("Shift+ArrowLeft")
    assert points.input_value().split()[3] != drawn.split()[3]
    page.keyboard.press("+")
    expect(page.locator("[data-n]")).to_have_count(count + 1)
    page.keyboard.press("Delete")
    expect(page.locator("[data-n]")).to_have_count(count)
    page.locator("[data-n='0']").focus()
    page.keyboard.press("Tab")
    expect(page.locator("[data-n='1']")).to_be_focused()
    is_sound(page)
    page.get_by_role("button", name="Keep this outline").click()
    expect(page.locator("#messages")).to_contain_text("The outline is saved")
    # The URL's fragment opens it.
    expect(page.locator("#measures-fold")).to_have_attribute("open", "")
    expect(page.locator("#measures")).to_contain_text("the outline drawn by")
    assert area.inner_text() != by_model


def test_an_alert_is_closed_with_a_reason(page: Page, lesion: str) -> None:
    alerts = page.locator("#alerts")
    summary = alerts.get_by_text("Close this change").first
    open_before = alerts.get_by_text("Close this change").count()
    assert open_before > 0
    summary.click()
    is_sound(page)
    field = alerts.get_by_label(re.compile("Reason, such as")).first
    field.fill("Seen by a doctor, excised.")
    alerts.get_by_role("button", name="Close the change").first.click()
    expect(page.locator("#messages")).to_contain_text("The change is closed")
    expect(alerts).to_contain_text("Seen by a doctor, excised.")
    assert alerts.get_by_text("Close this change").count() == open_before - 1


def _zoom_in_step(page: Page, earlier: Locator, later: Locator) -> None:
    def shown(stage: Locator) -> Any:
        return stage.locator("[data-layers]").evaluate("node => node.style.transform")

    earlier.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    assert "scale(1.4)" in shown(earlier)
    assert shown(earlier) == shown(later)
    later.hover()
    page.mouse.wheel(0, -300)
    assert shown(earlier) == shown(later)
    page.get_by_role("button", name="Show all of it").click()
    assert "scale(1)" in shown(later)
