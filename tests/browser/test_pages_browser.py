"""All main pages: accessible, no console errors, and no wider than a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import SCREENS, Site, is_sound

pytestmark = pytest.mark.browser

PAGES = (
    "login",
    "home",
    "patients",
    "patient",
    "lesion",
    "lesion_new",
    "lesion_place",
    "upload",
    "result",
    "timeline",
    "comparison",
    "outline",
    "scale",
    "model",
    "data",
    "account",
    "reminders",
)


@pytest.fixture
def addresses(site: Site) -> dict[str, str]:
    query = site.installation.query
    [(patient,)] = query("SELECT id FROM screening_patient WHERE label = 'Demo patient 1'")
    [(lesion,)] = query("SELECT id FROM screening_lesion WHERE label = 'Growing spot'")
    [(image,)] = query(
        "SELECT i.id FROM screening_lesionimage i JOIN screening_lesion l ON l.id = i.lesion_id "
        "WHERE l.label = 'Growing spot' ORDER BY i.captured_on DESC LIMIT 1"
    )
    # SQLite keeps them without dashes.
    patient, lesion, image = (UUID(str(pk)) for pk in (patient, lesion, image))
    return {
        "login": "/accounts/login/",
        "home": "/",
        "patients": "/patients/",
        "patient": f"/patients/{patient}/",
        "lesion": f"/lesions/{lesion}/",
        "lesion_new": f"/patients/{patient}/lesions/new/",
        "lesion_place": f"/lesions/{lesion}/place/",
        "upload": f"/lesions/{lesion}/images/new/",
        "result": f"/images/{image}/",
        "timeline": f"/patients/{patient}/timeline/",
        "comparison": f"/lesions/{lesion}/compare/",
        "outline": f"/images/{image}/outline/",
        "scale": f"/images/{image}/scale/",
        "model": "/model/",
        "data": "/data/",
        "account": "/account/",
        "reminders": "/reminders/",
    }


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
