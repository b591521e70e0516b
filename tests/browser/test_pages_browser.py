"""All main pages: accessible, no console errors, and no wider than a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.urls import URLResolver, get_resolver
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, PAGES, PHONE, SCREENS, Site, is_sound
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


def test_the_actions_of_the_account_line_up(
    open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    page = open_page(**DESKTOP, storage_state=signed_in)
    page.goto("/account/")
    ends = page.locator(".log-in-facts dd:last-child :is(a, button)").evaluate_all(
        """found => found.map((one) => one.getBoundingClientRect().right
            - parseFloat(getComputedStyle(one).paddingRight))"""
    )
    assert len(ends) > 5
    assert max(ends) - min(ends) <= 1.5, ends  # a button has a border of a pixel


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


@pytest.mark.parametrize("path", ["/accounts/signup/", "/accounts/login/", "/"])
def test_the_head_of_a_small_phone_keeps_the_name_on_one_line(
    path: str, open_page: Callable[..., Page]
) -> None:
    page = open_page(viewport={"width": 360, "height": 780})
    page.goto(path)
    brand = page.locator(".public-head .brand")
    assert brand.evaluate("one => one.getBoundingClientRect().height") <= 28
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_small_phone_shows_all_columns_of_the_measures(
    open_page: Callable[..., Page], addresses: dict[str, str], signed_in: dict[str, Any]
) -> None:
    page = open_page(viewport={"width": 360, "height": 780}, storage_state=signed_in)
    page.goto(addresses["comparison"])
    table = page.locator(".compare-table")
    assert table.locator("tbody tr").count() > 5
    assert (
        table.evaluate("one => one.parentElement.scrollWidth - one.parentElement.clientWidth") <= 0
    )
    cut = table.locator("td").evaluate_all(
        "found => found.filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    )
    assert cut == 0
    is_sound(page)


UNBROKEN = """
from datetime import date
from io import BytesIO
from accounts import services as account_services
from accounts.models import User
from screening.corrections import services as corrections
from screening.images import services as image_services, synthetic
from screening.models import Patient
from screening.privacy import sharing
from screening.records import services as record_services
from screening.reminders import services as reminder_services
from screening.reviews import services as review_services
from screening.webhooks import services as webhook_services
user = User.objects.get(email="clinician@demo.skincheck.example")
user.first_name, user.last_name = "F" * 150, "L" * 150
user.save()
clinic = account_services.found_clinic(user=user, name="C" * 120)
patient = record_services.register_patient(user=user, clinic=clinic, label="P" * 80, confirms=True)
lesion = record_services.open_lesion(
    user=user, patient=patient, label="T" * 80, notes="N" * 600, itching=True
)
lesion = record_services.edit_lesion(user=user, lesion=lesion, label="S" * 80, bleeding=True)
reminder_services.set_reminder(user=user, lesion=lesion, interval_months=1)
for seed in (951, 952, 953):
    drawn = BytesIO(synthetic.jpeg(synthetic.draw_lesion(seed=seed)))
    image = image_services.add_image(user=user, lesion=lesion, file=drawn).image
corrections.withdraw(user=user, record=image, reason="W" * 400)
image = lesion.images.latest_first()[0]
review_services.record_review(
    user=user, image=image, conclusion="nv", management="refer", note="R" * 600
)
histology = review_services.record_histology(
    user=user, lesion=lesion, diagnosis="nv", examined_on=date.today(), note="H" * 600
)
sharing.share(user=user, patient=patient, recipient="D" * 120, days=3)
account_services.create_api_key(user=user, name="K" * 80)
webhook = webhook_services.add_webhook(
    user=user, clinic=clinic, name="W" * 80, target="https://example.org/" + "t" * 400,
    events=["prediction.finished"],
)
print(patient.pk, lesion.pk, image.pk, clinic.pk, histology.pk, webhook.pk)
"""
BY_RECORD = ("patients", "lesions", "images", "clinics", "histologies", "webhooks")
"""What addresses begin with, in the order in which ``UNBROKEN`` prints the records."""
OF_OTHERS = (
    *("batches", "exports", "erasures", "visits", "shared"),
    *("oauth", "admin", "api", "fhir", "dicomweb"),
)
"""Not walked: each needs what this record has none of, or is no page."""


@pytest.fixture
def unbroken(site: Site) -> Iterator[list[str]]:
    """The addresses of all pages of a record whose names and notes have no blank in them."""
    made = site.installation.python("manage.py", "shell", "-c", UNBROKEN).split()[-6:]
    keys = dict(zip(BY_RECORD, made, strict=True))
    keys["worklist"] = keys["lesions"]
    waits = (
        "SELECT COUNT(*) FROM screening_prediction p JOIN screening_lesionimage i "
        f"ON i.id = p.image_id WHERE i.lesion_id = '{UUID(keys['lesions']).hex}' "
        "AND p.state = 'succeeded' AND i.withdrawn_at IS NULL"
    )
    wait_until(lambda: site.installation.query(waits) == [(2,)], "both are read")
    routes = sorted({route for route in _routes(get_resolver()) if "<" not in route})
    for route in sorted(set(_routes(get_resolver())) - set(routes)):
        of, key, rest = route.partition("<uuid:pk>")
        if key and "<" not in rest and of.strip("/") in keys:
            routes.append(f"{of}{keys[of.strip('/')]}{rest}")
    yield [f"/{one}" for one in routes if not one.startswith(OF_OTHERS)]
    names = "from accounts.models import User; User.objects.update(first_name='', last_name='')"
    site.installation.python("manage.py", "shell", "-c", names)


def _routes(resolver: Any, before: str = "") -> Iterator[str]:
    for one in resolver.url_patterns:
        route = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _routes(one, route)
        elif "^" not in route:
            yield route


def test_words_without_a_blank_stay_inside_the_page(
    unbroken: list[str], open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    """Every page of the site that a link leads to with this record."""
    page = open_page(viewport={"width": 360, "height": 740}, storage_state=signed_in)
    wide, walked = [], []
    for address in unbroken:
        if not _is_page(page, address):
            continue
        walked.append(address)
        page.goto(address, wait_until="load")
        if re.fullmatch(r"/lesions/[0-9a-f-]+/", address):
            is_sound(page)
        if page.evaluate("document.documentElement.scrollWidth") > 360:
            wide.append((address, page.evaluate(WIDER)))
    assert len(walked) > 50, walked
    assert not wide


def _is_page(page: Page, address: str) -> bool:
    if "logout" in address:
        return False
    response = page.request.get(address, max_redirects=0)
    return response.status == 200 and "<main" in response.text()


WIDER = """() => [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > 360.5)
    .slice(0, 3).map((one) => one.outerHTML.slice(0, 120))"""
