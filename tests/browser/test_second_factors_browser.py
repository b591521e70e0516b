"""Passkeys with Chromium's virtual authenticator, an authenticator app, recovery codes, and the
password asked again.
"""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import CLINICIAN, DESKTOP, PHONE, Site, is_sound

pytestmark = pytest.mark.browser
PASSWORD = "an altogether new phrase"


def localhost(site: Site) -> str:
    """WebAuthn knows names alone, no addresses."""
    return site.url.replace("127.0.0.1", "localhost")


def with_authenticator(page: Page) -> Any:
    """A virtual device that confirms each time it is asked."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


def sign_up(page: Page, email: str) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_label("I am 16 years old").check()
    page.get_by_label("I agree to the privacy page").check()
    page.get_by_role("button", name="Create account").click()
    is_in(page)


def is_in(page: Page) -> None:
    expect(page.get_by_role("navigation", name="Main").first).to_be_visible(timeout=30_000)


def log_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Log out").click()
    page.wait_for_url(lambda url: urlsplit(url).path == "/")


def test_a_passkey_logs_in_alone_and_confirms(open_page, site):
    page = open_page(**PHONE | {"base_url": localhost(site)})
    with_authenticator(page)
    sign_up(page, "passkey@example.org")
    page.goto("/account/")
    page.get_by_role("link", name="Add second factor").click()
    is_sound(page)
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("My phone")
    is_sound(page)
    page.get_by_role("button", name="Add the passkey").click()
    # Recovery codes come with the first factor.
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert len(re.findall(r"^\d{8}$", page.locator(".codes").inner_text(), re.MULTILINE)) == 10
    is_sound(page)
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_role("link", name="Rename My phone")).to_be_visible()

    log_out(page)
    page.goto("/accounts/login/")
    is_sound(page)
    page.get_by_role("button", name="Log in with a passkey").click()
    is_in(page)

    # After the password it is the second step.
    log_out(page)
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill("passkey@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    is_sound(page)
    page.get_by_role("button", name="Use a passkey").click()
    is_in(page)

    page.goto("/accounts/2fa/webauthn/reauthenticate/?next=/account/")
    is_sound(page)
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/account/")


def test_a_foreign_passkey_is_said_to_have_failed(open_page, site):
    page = open_page(**DESKTOP | {"base_url": localhost(site)})
    with_authenticator(page)  # with no passkey on it
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(page.get_by_text("The passkey was not used.")).to_be_visible()


def test_an_app_and_a_recovery_code(open_page, site):
    from allauth.mfa.totp.internal.auth import (
        format_hotp_value,
        hotp_value,
        yield_hotp_counters_from_time,
    )

    page = open_page(**PHONE)
    sign_up(page, "app@example.org")
    page.goto("/accounts/2fa/")
    page.get_by_role("link", name="Use an app").click()
    is_sound(page)
    secret = page.locator("#totp-secret").inner_text()
    assert page.locator("img.qr").evaluate("one => one.naturalWidth") > 100
    if time.time() % 30 > 15:
        page.wait_for_timeout(1000 * (30 - time.time() % 30))  # a code counts for half a minute
    counter = next(iter(yield_hotp_counters_from_time()))
    page.get_by_label("Authenticator code").fill(format_hotp_value(hotp_value(secret, counter)))
    page.get_by_role("button", name="Turn it on").click()
    code = page.locator(".codes li").first.inner_text()

    log_out(page)
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill("app@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Log in", exact=True).click()
    is_in(page)
    page.goto("/accounts/2fa/")
    expect(page.get_by_text("9 are left.")).to_be_visible()
    is_sound(page)


def test_the_password_is_shown_and_hidden(open_page, site):
    page = open_page(**PHONE)
    page.goto("/accounts/login/")
    field = page.get_by_label("Password", exact=True)
    field.fill(site.passwords[CLINICIAN])
    page.get_by_role("button", name="Show the password").click()
    assert field.get_attribute("type") == "text"
    is_sound(page)
    page.get_by_role("button", name="Hide the password").click()
    assert field.get_attribute("type") == "password"


def test_a_session_is_ended_from_another_browser(open_page, site):
    here, there = open_page(**PHONE), open_page(**DESKTOP)
    sign_up(here, "sessions@example.org")
    there.goto("/accounts/login/")
    there.get_by_label("Email").fill("sessions@example.org")
    there.get_by_label("Password", exact=True).fill(PASSWORD)
    there.get_by_role("button", name="Log in", exact=True).click()
    is_in(there)

    here.goto("/accounts/sessions/")
    is_sound(here)
    here.get_by_role("button", name="Log out Chrome on Linux").click()
    expect(here.get_by_text("That browser is logged out.")).to_be_visible()
    there.goto("/account/")
    expect(there.get_by_role("heading", name="Log in")).to_be_visible()
