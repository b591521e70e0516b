"""All main pages: accessible, no console errors, and no wider than a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PAGES, PHONE, SCREENS, Site, is_sound
from tests.stack.installation import wait_until

pytestmark = pytest.mark.browser


@SCREENS
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_fits(
    name: str,
    screen: dict[str, Any],
    open_page: Callable[..., Page],
    addresses: dict[str, str],
    signed_in: dict[str, Any],
) -> None:
    state = {} if name == "login" else {"storage_state": signed_in}
    page = open_page(**screen, **state)
    response = page.goto(addresses[name], wait_until="networkidle")
    assert response is not None
    assert response.status == 200
    assert page.url.endswith(addresses[name])
    is_sound(page)


def test_the_bar_of_a_phone_leads_to_account_help_and_out(
    open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    page = open_page(**PHONE, storage_state=signed_in)
    page.goto("/patients/")
    more = page.locator("[data-more]")
    for name in ("Account", "Help", "Data and model", "Log out", "Light or dark"):
        expect(more.get_by_text(name, exact=True)).to_be_hidden()
    more.locator("summary").click()
    for name in ("Account", "Help", "Data and model", "Log out", "Light or dark"):
        expect(more.get_by_text(name, exact=True)).to_be_visible()
    is_sound(page)
    page.keyboard.press("Escape")
    expect(more.locator("summary")).to_be_focused()
    expect(more.get_by_role("link", name="Account")).to_be_hidden()
    more.locator("summary").click()
    more.get_by_role("link", name="Account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Account")


UNBROKEN = """
from io import BytesIO
from accounts.models import User
from screening.images import services as image_services, synthetic
from screening.models import Patient
from screening.records import services as record_services
from screening.reminders import services as reminder_services
from screening.reviews import services as review_services
user = User.objects.get(email="clinician@demo.skincheck.example")
user.first_name, user.last_name = "F" * 150, "L" * 150
user.save()
clinic = Patient.objects.get(label="Demo patient 1").clinic
patient = record_services.register_patient(user=user, clinic=clinic, label="P" * 80)
lesion = record_services.open_lesion(
    user=user, patient=patient, label="S" * 80, notes="N" * 600, itching=True
)
reminder_services.set_reminder(user=user, lesion=lesion, interval_months=1)
for seed in (951, 952):
    drawn = BytesIO(synthetic.jpeg(synthetic.draw_lesion(seed=seed)))
    image = image_services.add_image(user=user, lesion=lesion, file=drawn).image
review_services.record_review(
    user=user, image=image, conclusion="nv", management="refer", note="R" * 600
)
print(patient.pk, lesion.pk, image.pk, clinic.pk)
"""


@pytest.fixture
def unbroken(site: Site) -> Iterator[dict[str, str]]:
    """The addresses of a record whose names and notes have no blank in them."""
    made = site.installation.python("manage.py", "shell", "-c", UNBROKEN).split()[-4:]
    patient, lesion, image, clinic = made
    key = UUID(lesion).hex
    waits = (
        "SELECT COUNT(*) FROM screening_prediction p JOIN screening_lesionimage i "
        f"ON i.id = p.image_id WHERE i.lesion_id = '{key}' AND p.state = 'succeeded'"
    )
    wait_until(lambda: site.installation.query(waits) == [(2,)], "both are read")
    yield {
        "home": "/",
        "patients": "/patients/",
        "patient": f"/patients/{patient}/",
        "timeline": f"/patients/{patient}/timeline/",
        "lesion": f"/lesions/{lesion}/",
        "lesion_edit": f"/lesions/{lesion}/edit/",
        "correct": f"/lesions/{lesion}/correct/",
        "upload": f"/lesions/{lesion}/images/new/",
        "compare": f"/lesions/{lesion}/compare/",
        "result": f"/images/{image}/",
        "outline": f"/images/{image}/outline/",
        "worklist": "/worklist/?reviewed=all",
        "review": f"/worklist/{lesion}/",
        "reminders": "/reminders/",
        "account": "/account/",
        "clinic": f"/clinics/{clinic}/",
    }
    names = "from accounts.models import User; User.objects.update(first_name='', last_name='')"
    site.installation.python("manage.py", "shell", "-c", names)


def test_words_without_a_blank_stay_inside_the_page(
    unbroken: dict[str, str], open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    page = open_page(viewport={"width": 360, "height": 740}, storage_state=signed_in)
    wide = []
    for name, address in unbroken.items():
        response = page.goto(address, wait_until="networkidle")
        assert response is not None
        assert response.status == 200, name
        if page.evaluate("document.documentElement.scrollWidth") > 360:
            wide.append((name, page.evaluate(WIDER)))
    assert not wide
    page.goto(unbroken["lesion"])
    is_sound(page)


WIDER = """() => [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > 360.5)
    .slice(0, 3).map((one) => one.outerHTML.slice(0, 120))"""
