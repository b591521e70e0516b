"""Without an account: the landing page, and a reading that never leaves the device."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.conftest import SCREENS, drawn, is_sound

pytestmark = pytest.mark.browser

LOADED = 120_000


def load(page: Page) -> None:
    page.goto("/try/")
    page.get_by_role("button", name=re.compile("Load the reader")).click()
    expect(page.get_by_text("It now works without a network.")).to_be_visible(timeout=LOADED)


def read(page: Page, picture: Path) -> None:
    page.get_by_label("Picture", exact=True).set_input_files(picture)
    page.get_by_role("button", name="Read the picture").click()
    expect(page.locator("[data-result]")).to_be_visible(timeout=LOADED)


@SCREENS
def test_the_landing_page_and_the_try_are_sound(
    screen: dict[str, Any], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page(**screen, reduced_motion="reduce")
    page.goto("/")
    expect(page.get_by_text("Try a picture: it never leaves your device.")).to_be_visible()
    expect(page.get_by_alt_text(re.compile("SYNTHETIC"))).to_be_visible()
    is_sound(page)
    page.get_by_role("link", name="Try a picture").click()
    page.wait_for_url("**/try/")
    expect(
        page.get_by_role("button", name=re.compile(r"Load the reader \(\d+ MB\)"))
    ).to_be_visible()  # said before anything is loaded
    is_sound(page)
    load(page)
    read(page, drawn(tmp_path, 1))
    expect(page.locator("[data-result]")).to_be_focused()
    expect(page.locator(".advice")).to_contain_text("Keep watching this spot")
    expect(page.locator(".layers [data-overlay=outline]")).to_be_visible()
    page.get_by_role("button", name="Evidence").press("Space")
    expect(page.locator("#evidence")).to_contain_text("proves nothing")
    is_sound(page)


def test_no_request_carries_the_picture(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """All that is asked for, whatever for; and after the reader is loaded, nothing at all."""
    page = open_page()
    asked: list[Request] = []
    page.context.on("request", lambda request: asked.append(request))
    load(page)
    assert any(request.url.endswith(".tflite") for request in asked)
    before = len(asked)
    page.get_by_label("Age in years").fill("61")
    page.get_by_label("Sex", exact=True).select_option("male")
    page.get_by_label("Body site").select_option("back")
    page.get_by_label("changing", exact=True).check()
    read(page, drawn(tmp_path, 1))
    expect(page.locator(".advice")).to_contain_text("This spot is marked as changing")
    later = [one.url for one in asked[before:] if not one.url.startswith(("blob:", "data:"))]
    # The icons of the result's marks are part of the page's own drawing.
    assert [url for url in later if "/static/img/" not in url] == []
    for request in asked:
        assert request.method == "GET"
        assert request.post_data_buffer is None
        assert "61" not in request.url.partition("?")[2]


def test_it_works_without_a_network_once_loaded(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page()
    load(page)
    page.context.set_offline(True)
    page.reload()
    page.get_by_role("button", name=re.compile("Load the reader")).click()
    expect(page.get_by_text("It now works without a network.")).to_be_visible(timeout=LOADED)
    read(page, drawn(tmp_path, 2))
    expect(page.locator(".advice")).to_be_visible()


def test_nothing_of_signed_in_pages_is_kept(
    open_page: Callable[..., Page], signed_in: dict[str, Any]
) -> None:
    page = open_page(storage_state=signed_in)
    load(page)
    for address in ("/", "/patients/", "/account/"):
        page.goto(address)
        assert page.evaluate("navigator.serviceWorker.controller") is None
    kept = page.evaluate(
        """async () => {
          const found = [];
          for (const name of await caches.keys()) {
            const cache = await caches.open(name);
            for (const { url } of await cache.keys()) {
              found.push([new URL(url).pathname, await (await cache.match(url)).text()]);
            }
          }
          return found;
        }"""
    )
    assert kept
    for path, text in kept:
        assert path.startswith("/static/") or path.endswith(".tflite") or path == "/try/"
        assert "demo.skincheck.example" not in text
        assert "Log out" not in text


def test_a_picture_is_kept_with_consent_alone_and_offered_at_the_upload(
    open_page: Callable[..., Page], signed_in: dict[str, Any], tmp_path: Path
) -> None:
    page = open_page(storage_state=signed_in)
    load(page)
    read(page, drawn(tmp_path, 3))
    keep = page.get_by_role("button", name="Keep it and sign up")
    keep.click()
    expect(page.get_by_text("Tick the box first")).to_be_visible()
    page.get_by_label(re.compile("Keep this picture in this browser")).check()
    keep.click()
    page.wait_for_url(lambda url: "/try/" not in url)
    page.goto("/")
    expect(page.get_by_text("A picture you tried waits on this device.")).to_be_visible()
    page.goto("/patients/")
    page.get_by_role("link", name="Demo patient 1").click()
    page.get_by_role("link", name="New spot").first.click()
    page.locator('main a[href$="/images/new/"]').first.click()
    page.get_by_role("button", name="Use it here").click()
    expect(page.locator(".upload")).to_contain_text("drawn-3.jpg")
    page.goto("/")
    page.get_by_role("button", name="Delete it from this device").click()
    expect(page.get_by_text("The picture is deleted from this device.")).to_be_visible()
    page.reload()
    expect(page.locator("[data-kept]")).to_be_hidden()


def test_without_scripts_it_is_a_plain_page(open_page: Callable[..., Page]) -> None:
    page = open_page(java_script_enabled=False)
    page.goto("/")
    expect(page.get_by_role("link", name="Create an account").first).to_be_visible()
    page.get_by_role("link", name="Try a picture").click()
    expect(page.get_by_text("This needs JavaScript.")).to_be_visible()
    expect(page.get_by_role("button", name="Read the picture")).to_be_hidden()


def test_by_keyboard_alone(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page()
    page.goto("/")
    page.get_by_role("link", name="Try a picture").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/try/")
    page.get_by_role("button", name=re.compile("Load the reader")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The reader is loaded.")).to_be_visible(timeout=LOADED)
    page.get_by_label("Picture", exact=True).set_input_files(drawn(tmp_path, 1))
    page.get_by_role("button", name="Read the picture").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-result]")).to_be_focused(timeout=LOADED)
    page.keyboard.press("Tab")
    expect(page.locator(".stage")).to_be_focused()
