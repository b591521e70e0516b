"""Reminders in a real browser: set one, put it off, stop it, a calendar link, and a report."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, SCREENS, Site, is_sound, log_in

pytestmark = pytest.mark.browser


def _lesion(page: Page, label: str) -> None:
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").first.click()
    page.get_by_role("main").get_by_role("link", name=label, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(label)


@SCREENS
def test_set_put_off_and_stop(
    open_page: Callable[..., Page], signed_in: dict[str, Any], screen: dict[str, Any]
) -> None:
    page = open_page(**screen, storage_state=signed_in)
    _lesion(page, "Itching spot")
    part = page.get_by_role("region", name="Next picture")
    expect(part).to_contain_text("Suggested: every month")
    part.get_by_label("How often a picture is wanted").select_option("Every 3 months")
    part.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_contain_text("The next picture is due on")
    expect(part).to_contain_text("every 3 months")
    is_sound(page)

    page.get_by_role("link", name="Reminders").first.click()
    expect(page.get_by_role("heading", level=2, name="Due")).to_be_visible()
    row = page.get_by_role("listitem").filter(has=page.get_by_role("link", name="Itching spot"))
    row.get_by_text("Put off", exact=False).first.click()
    is_sound(page)
    row.get_by_role("button", name="By 1 week").click()
    expect(page.get_by_role("status")).to_contain_text("Itching spot is put off until")
    expect(row).to_contain_text("put off")

    row.locator("summary", has_text="Stop").click()
    expect(row).to_contain_text("you can set the reminder again")
    row.get_by_role("button", name="Stop reminding of “Itching spot”").click()
    expect(page.get_by_role("status")).to_contain_text(
        "The reminders for Itching spot have stopped"
    )
    expect(row).to_have_count(0)


def test_a_calendar_link_by_keyboard(open_page: Callable[..., Page], site: Site) -> None:
    page = open_page(**DESKTOP)
    log_in(page, site)  # a link asks for a recent log-in
    page.goto("/reminders/")
    page.get_by_role("button", name="Make a calendar link").focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("alert")
    expect(panel).to_contain_text("shown this once")
    is_sound(page)
    [address] = re.findall(r"http\S+\.ics", panel.inner_text())
    with urllib.request.urlopen(address) as answer:
        text = answer.read().decode()
    assert text.startswith("BEGIN:VCALENDAR")
    assert "New picture: Quiet spot" in text
    page.goto("/reminders/")
    expect(panel).to_have_count(0)
    page.locator("summary", has_text="Revoke the link").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("no longer works")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(address)


def test_a_report_opens_from_the_lesion_and_from_the_patient(
    open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    page = open_page(**DESKTOP, storage_state=signed_in)
    _lesion(page, "Growing spot")
    links = [page.get_by_role("link", name="Report").get_attribute("href")]
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link").last.click()
    links.append(page.get_by_role("link", name="Report").get_attribute("href"))
    for link in links:
        response = page.request.get(str(link))
        assert response.status == 200
        assert response.headers["content-type"] == "application/pdf"
        assert response.body().startswith(b"%PDF")
