"""A clinician at work: through the items by keyboard alone, histology, and a withheld reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PHONE, SCREENS, Site, drawn, is_sound
from tests.stack.installation import wait_until

pytestmark = pytest.mark.browser

ADD = """
from pathlib import Path
from accounts.models import User
from screening.images import services as image_services
from screening.models import Patient
from screening.records import services as record_services
user = User.objects.get(email="clinician@demo.skincheck.example")
patient = Patient.objects.get(label="Demo patient 1", clinic__memberships__user=user)
lesion = record_services.open_lesion(user=user, patient=patient, body_site="back")
with Path({path!r}).open("rb") as file:
    print(image_services.add_image(user=user, lesion=lesion, file=file).image.pk)
"""
SEEDS = count(900)


@pytest.fixture
def nobody_concluded(site: Site, tmp_path: Path) -> None:
    """A picture of a separate lesion is read, and no other test concludes on it."""
    path = str(drawn(tmp_path, seed=next(SEEDS)))
    added = site.installation.python("manage.py", "shell", "-c", ADD.format(path=path)).split()[-1]
    image = UUID(added).hex
    read = f"SELECT state FROM screening_prediction WHERE image_id = '{image}'"
    wait_until(lambda: site.installation.query(read) == [("succeeded",)], "it is read")


@SCREENS
def test_review_from_the_worklist_by_keyboard_only(
    open_page: Callable[..., Page], signed_in: dict[str, Any], screen: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in, **screen)
    page.goto("/worklist/?reviewed=all")
    is_sound(page)
    page.keyboard.press("j")
    first = page.locator("[data-row]").first
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/worklist/.+-.+"))
    is_sound(page)
    address = page.url

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    is_sound(page)
    page.keyboard.press("?")
    page.keyboard.press("j")
    page.wait_for_url(lambda url: url != address)
    page.keyboard.press("k")
    page.wait_for_url(address)

    page.keyboard.press("5")
    expect(page.get_by_label("Melanoma", exact=True)).to_be_checked()
    page.keyboard.press("e")
    expect(page.get_by_label("Excise or biopsy")).to_be_checked()
    page.keyboard.press("t")
    page.keyboard.type("6 mm, one-sided")
    expect(page.get_by_role("textbox", name="Note")).to_have_value("6 mm, one-sided")
    page.keyboard.press("Control+Enter")
    page.wait_for_url(lambda url: url != address and "/worklist/" in url)
    expect(page.locator("#messages")).to_contain_text("is signed")

    page.get_by_role("link", name="Look at it and at what was read").press("Enter")
    expect(page.locator(".conclusion h2").first).to_have_text("Melanoma")
    expect(page.locator("#reviews")).to_contain_text("6 mm, one-sided")
    is_sound(page)


@pytest.mark.usefixtures("nobody_concluded")
def test_single_keys_can_be_switched_off(
    open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in, **DESKTOP)
    page.goto("/worklist/?reviewed=all")
    page.get_by_role("button", name="Shortcuts").click()
    page.get_by_label("Use single keys on this device").uncheck()
    page.get_by_role("button", name="Close").click()
    page.locator("[data-row][href^='/worklist/']").first.click()  # others have no picture
    page.wait_for_url(re.compile("/worklist/.+-.+"))
    page.keyboard.press("5")
    expect(page.get_by_label("Melanoma", exact=True)).not_to_be_checked()


@SCREENS
def test_histology_is_entered_and_stands_first(
    open_page: Callable[..., Page], signed_in: dict[str, Any], screen: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in, **screen)
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="Growing spot").first.click()
    page.get_by_role("link", name="Histology", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Histology of Growing spot")
    is_sound(page)
    page.get_by_label("Diagnosis").select_option("mel")
    page.get_by_label("Examined on").fill("2026-03-20")
    page.get_by_label("Breslow thickness").fill("0.4")
    page.get_by_role("button", name="Record").click()
    panel = page.locator(".histology")
    expect(panel).to_contain_text("Melanoma")
    expect(panel).to_contain_text("0.40 mm")
    is_sound(page)


@pytest.fixture
def reviews_first(site: Site) -> Iterator[None]:
    """In the demo's clinic, clinicians conclude before they see a reading."""
    setting = "from accounts.models import Clinic; Clinic.objects.update(review_before_reading={})"
    site.installation.python("manage.py", "shell", "-c", setting.format(True))
    yield
    site.installation.python("manage.py", "shell", "-c", setting.format(False))


@SCREENS
@pytest.mark.usefixtures("nobody_concluded", "reviews_first")
def test_a_reading_is_kept_back_until_the_clinician_has_concluded(
    open_page: Callable[..., Page], signed_in: dict[str, Any], screen: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in, **screen)
    page.goto("/worklist/?reason=unreviewed")
    page.locator("[data-row]").first.click()
    expect(page.get_by_role("heading", name="Your conclusion comes first")).to_be_visible()
    expect(page.locator(".advice, .overlay, .outcome")).to_have_count(0)
    is_sound(page)
    page.keyboard.press("5")
    page.keyboard.press("e")  # the first may have a symptom, for which watching is not enough
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Look at it and at what was read").click()
    expect(page.locator("#reading .advice")).to_be_visible()


@SCREENS
def test_agreement_and_the_clinics_page_are_sound(
    open_page: Callable[..., Page], signed_in: dict[str, Any], screen: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in, **screen)
    page.goto("/account/")
    page.get_by_role("link", name="Demo clinic").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Demo clinic")
    is_sound(page)
    page.get_by_role("link", name="How the software, clinicians and histology agree").click()
    expect(page.get_by_role("table").first).to_contain_text("too few")
    is_sound(page)


def test_all_to_conclude_by_is_in_one_view_of_a_desk(
    open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in, **DESKTOP)
    page.goto("/worklist/?reviewed=all")
    page.locator("[data-row]", has_text="Growing spot").first.click()
    page.wait_for_url(re.compile("/worklist/.+-.+"))
    height = DESKTOP["viewport"]["height"]
    for part in (".stage", "[data-key='9']", "[data-key='d']", "[data-note] textarea", ".sign"):
        box = page.locator(part).first.bounding_box()
        assert box is not None
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= height, part
    columns = {page.locator(f"[data-key='{key}']").bounding_box()["x"] for key in "16"}
    assert len(columns) == 2
    is_sound(page)


def test_a_phone_is_told_of_no_keys(
    open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in, **PHONE)
    page.goto("/worklist/?reviewed=all")
    page.locator("[data-row]").first.click()
    page.wait_for_url(re.compile("/worklist/.+-.+"))
    expect(page.get_by_role("button", name="Shortcuts")).to_be_hidden()
    for key in page.locator("main kbd").all():
        expect(key).to_be_hidden()
