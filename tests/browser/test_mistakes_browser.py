"""Corrections in a browser: a picture on the wrong lesion, one added twice, a duplicate lesion; and
each undone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SCREENS, drawn, is_sound

pytestmark = pytest.mark.browser

READ_WITHIN = 60_000  # milliseconds; beside other tests it takes long


def _new_lesion(page: Page, label: str) -> str:
    """The URL of a lesion's page."""
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="Add a lesion").click()
    page.get_by_label("Name").fill(label)
    page.get_by_role("button", name="Continue to the picture").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add picture")
    return page.url.replace("images/new/", "")


def _send(page: Page, lesion: str, picture: Path) -> None:
    page.goto(f"{lesion}images/new/")
    page.locator("input[name=file]").set_input_files(picture)
    page.get_by_role("button", name="Add 1 picture").click()


def _open(page: Page, act: str) -> Any:
    """Open one of the forms of the correction page."""
    page.get_by_role("group").filter(has_text=act).locator("summary").click()
    return page.get_by_role("group").filter(has_text=act)


@SCREENS
def test_a_picture_is_moved_withdrawn_and_put_back(
    open_page: Callable[..., Page],
    signed_in: dict[str, Any],
    screen: dict[str, Any],
    tmp_path: Path,
) -> None:
    page = open_page(storage_state=signed_in, **screen)
    seed = 701 if "has_touch" in screen else 711
    wrong, right = _new_lesion(page, f"Wrong {seed}"), _new_lesion(page, f"Right {seed}")
    _send(page, wrong, drawn(tmp_path, seed))
    page.wait_for_url(re.compile(r"/images/[0-9a-f-]{36}/$"), timeout=READ_WITHIN)
    expect(page.locator("#reading .advice")).to_be_visible(timeout=READ_WITHIN)

    # A duplicate picture is reported before it is stored.
    _send(page, right, drawn(tmp_path, seed))
    row = page.locator(".upload")
    expect(row).to_contain_text(f"already on “Wrong {seed}”", timeout=READ_WITHIN)
    expect(row.get_by_role("button", name="Add it here as well")).to_be_visible()
    is_sound(page)
    row.get_by_role("link", name="Go there").click()

    page.get_by_role("link", name="Correct a mistake").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Correct the picture")
    is_sound(page)
    form = _open(page, "It shows another lesion")
    form.get_by_label("To the lesion").select_option(f"Right {seed}")
    form.get_by_label("Go on with all of this").check()
    is_sound(page)
    form.get_by_role("button", name="Move the picture").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Right {seed}")

    page.get_by_role("link", name="Correct a mistake").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Correct the picture")
    form = _open(page, "It was entered in error")
    form.get_by_label("Reason").fill("Taken of another person.")
    form.get_by_role("button", name="Withdraw").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Right {seed}")
    expect(page.get_by_role("heading", name="No picture yet")).to_be_visible()
    history = page.locator("#corrections")
    history.locator("summary").click()
    expect(history).to_contain_text("Reason: Taken of another person.")
    expect(history.get_by_alt_text("The withdrawn picture")).to_be_visible()
    is_sound(page)
    history.get_by_role("link", name="Undo").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Undo")
    is_sound(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("The change is undone.")).to_be_visible()
    expect(page.locator("#reading .advice")).to_be_visible()


@SCREENS
def test_two_lesions_become_one_and_two_again(
    open_page: Callable[..., Page], signed_in: dict[str, Any], screen: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in, **screen)
    seed = 702 if "has_touch" in screen else 712
    twice, once = _new_lesion(page, f"Twice {seed}"), _new_lesion(page, f"Once {seed}")
    page.goto(twice)
    page.get_by_role("link", name="Correct a mistake").click()
    is_sound(page)
    form = _open(page, "It is the same lesion as another one")
    form.get_by_label("The lesion to keep").select_option(f"Once {seed}")
    form.get_by_role("button", name="Merge the two").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Once {seed}")
    assert page.url == once
    page.locator("#corrections summary").click()
    page.get_by_role("link", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Twice {seed}")
    assert page.url == twice
