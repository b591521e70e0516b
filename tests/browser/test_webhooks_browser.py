"""A webhook in a real browser: added, tested against a real receiver, viewed, rotated, disabled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SCREENS, Site, is_sound, log_in
from tests.webhooks.receiver import Receiver, receiving

pytestmark = pytest.mark.browser


def _add(page: Page, name: str, receiver: Receiver) -> None:
    """From the account page, by the links that an admin would follow."""
    page.goto("/account/")
    page.get_by_role("link", name="Demo clinic").first.click()
    page.get_by_role("link", name="Add a webhook").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add a webhook")
    is_sound(page)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Address").fill(receiver.url)
    # Readings of other tests' pictures may end meanwhile: they are not sent.
    page.get_by_label("A reading is finished").uncheck()
    page.get_by_label("A reading failed").uncheck()
    page.get_by_label("A change rule fired").uncheck()
    page.get_by_role("button", name="Add the webhook").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


@SCREENS
def test_a_webhook_from_the_first_to_the_last(
    open_page: Callable[..., Page], site: Site, screen: dict[str, Any]
) -> None:
    page = open_page(**screen)
    log_in(page, site)  # a webhook asks for a recent log-in
    name = f"Practice software {screen['viewport']['width']}"
    with receiving() as receiver:
        _add(page, name, receiver)
        expect(page.get_by_text("Nothing yet.")).to_be_visible()
        page.get_by_role("button", name="Send a test").click()
        # The page polls until the response is there.
        expect(page.get_by_text("Answered 200")).to_be_visible(timeout=40_000)
        expect(page.locator("#delivery")).not_to_have_attribute("hx-get", "x")
        is_sound(page)
        assert receiver.got[0][1]["webhook-signature"].startswith("v1,")

        receiver.status = 500
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_text("answered with status 500")).to_be_visible(timeout=40_000)

    page.get_by_role("link", name=name).click()
    page.get_by_text("Show the signing secret").click()
    secret = page.locator("#secret").inner_text()
    is_sound(page)
    page.get_by_text("Rotate the secret").click()
    page.get_by_role("button", name="Make a new secret").click()
    expect(page.get_by_text("signed with the previous secret as well")).to_be_visible()
    assert page.locator("#secret").text_content() != secret
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_text("It was switched off by hand.")).to_be_visible()
    is_sound(page)
    page.get_by_text("Remove", exact=True).click()
    page.get_by_role("button", name=f"Remove “{name}”").click()
    expect(page.get_by_role("link", name=name)).to_have_count(0)
    is_sound(page)
