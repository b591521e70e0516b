"""A warning that later pictures do not hide, on each page that a clinic sees."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from ml import reader
from ml.types import Outcome, PatientContext
from screening.images import synthetic
from tests.browser.conftest import SCREENS, is_sound

pytestmark = pytest.mark.browser

WITHIN = 20_000  # milliseconds; usually under two seconds
GRAVE = {Outcome.URGENT, Outcome.SEE_DOCTOR}


def told(picture: Image.Image) -> Outcome:
    return reader.load().read(np.asarray(picture), PatientContext()).outcome


@cache
def flagged(first: int) -> Image.Image:
    """The synthetic lesion that looks gravest to the shipped network, of five from seed ``first``
    on: saved as JPEG, it is still one for a doctor.
    """
    drawings = [
        synthetic.draw_lesion(seed=seed, radius=0.34, dark_side=2.2, bulge=1.4)
        for seed in range(first, first + 5)
    ]
    gravest = max(drawings, key=chance)
    assert told(gravest) in GRAVE
    return gravest


def chance(picture: Image.Image) -> float:
    return reader.load().read(np.asarray(picture), PatientContext()).p_malignant


def blurred(picture: Image.Image) -> Iterator[Image.Image]:
    for radius in range(24, 120, 16):
        yield picture.filter(ImageFilter.GaussianBlur(radius))


def saved(picture: Image.Image, path: Path) -> Path:
    picture.save(path, quality=95)
    return path


@SCREENS
def test_a_blurred_picture_and_a_photograph_hide_no_warning(
    open_page: Callable[..., Page],
    signed_in: dict[str, Any],
    tmp_path: Path,
    screen: dict[str, Any],
) -> None:
    page = open_page(storage_state=signed_in, **screen)
    width = screen["viewport"]["width"]
    label = f"Calf, {width} wide"
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="Add a lesion").click()
    page.get_by_label("Name").fill(label)
    page.get_by_label("Or a region from the list").select_option("back/left/sole")
    page.get_by_role("button", name="Continue to the picture").click()
    page.wait_for_url("**/images/new/")
    lesion = page.url.removesuffix("images/new/")

    spot = flagged(first=width)  # the same picture on another lesion would prompt a question
    add(page, lesion, saved(spot, tmp_path / "spot.jpg"), "2026-01-12")
    warning = page.locator(".advice-see_doctor, .advice-urgent")
    expect(warning).to_be_visible(timeout=WITHIN)
    word = page.locator(".advice .eyebrow > span").first.inner_text()
    worse = next(one for one in blurred(spot) if told(one) == Outcome.NOT_ASSESSABLE)
    add(page, lesion, saved(worse, tmp_path / "blurred.jpg"), "2026-02-12")
    does_not_settle(page)
    photograph = synthetic.draw_lesion(seed=width)
    add(page, lesion, saved(photograph, tmp_path / "photograph.jpg"), "2026-03-12", "clinical")
    does_not_settle(page)

    page.goto(lesion)
    expect(page.locator("#standing-title")).to_contain_text(re.compile("examine", re.I))
    expect(page.get_by_text("It does not change the earlier warning")).to_be_visible()
    is_sound(page)
    page.goto("/")
    tells(page.locator(".row-item", has_text=label).first, word)
    page.goto("/worklist/?q=Calf")
    tells(page.locator(".row-item", has_text=label).first, word)
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    tells(page.locator(".row-item", has_text=label).first, word)
    shape = {"urgent": "urgent", "see a doctor": "see_doctor"}[word.lower()]
    point = page.locator(f".map-point[aria-label*='{label}']")
    expect(point).to_be_visible()
    expect(point).to_have_class(re.compile(rf"\boutcome-{shape}\b"))
    is_sound(page)

    record = page.request.get(f"/api/v1/lesions/{lesion.rstrip('/').rpartition('/')[2]}/").json()
    assert record["standing_outcome"] == word.lower().replace("see a doctor", "see_doctor")
    assert record["latest_outcome"] == "not_assessable"
    report = PdfReader(BytesIO(page.request.get(f"{lesion}report/").body()))
    text = " ".join(" ".join(part.extract_text() for part in report.pages).split())
    assert "WHAT STANDS" in text.upper() and f"{word}: see a doctor" in text


def add(page: Page, lesion: str, picture: Path, day: str, modality: str = "dermatoscopic") -> None:
    page.goto(f"{lesion}images/new/")
    page.locator("input[name=file]").set_input_files(picture)
    page.locator(".upload").get_by_label("Taken on").fill(day)
    page.locator(".upload").get_by_label("Kind").select_option(modality)
    page.get_by_role("button", name="Add 1 picture").click()
    page.wait_for_url(re.compile(r"/images/[0-9a-f-]{36}/$"), timeout=WITHIN)


def does_not_settle(page: Page) -> None:
    expect(page.locator(".advice-not_assessable")).to_be_visible(timeout=WITHIN)
    expect(page.locator(".standing-beside")).to_contain_text("This picture does not change that")
    is_sound(page)


def tells(row: Any, word: str) -> None:
    expect(row).to_contain_text(word)
    expect(row).to_contain_text("Newest: not assessable")
