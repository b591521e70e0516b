"""Sign-up, login, logout and password reset, through the pages as served."""

from __future__ import annotations

import re
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
from django.conf import settings as configured
from django.contrib.auth.hashers import identify_hasher
from django.core import mail
from django.core.cache import cache
from django.core.mail import EmailMessage

from accounts import adapter, agreements
from accounts.models import User
from tests.clients import Browser
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
AGREED = {"of_age": "on", "agrees": "on"}
INLINE = r'<script(?![^>]*(\bsrc=|"application/json"))[^>]*>|\sstyle=|\son\w+='
ARGON2 = configured.PASSWORD_HASHERS  # as configured, before the tests' own fast hash replaces it


@pytest.fixture(autouse=True)
def _no_earlier_tries():
    cache.clear()


def sign_up(client: Browser, email: str) -> None:
    data = {"email": email, "password1": PASSWORD, "password2": PASSWORD, **AGREED}
    answer = client.post("/accounts/signup/", data)
    assert answer.status_code == 302, answer.context["form"].errors


def test_two_who_sign_up_with_one_address_at_once_get_one_account(client, monkeypatch):
    """The second was checked before the first was stored."""
    monkeypatch.setattr(
        "allauth.account.internal.flows.manage_email.email_already_exists",
        lambda email, **_: (email, False),
    )
    UserFactory(email="new@example.org")
    data = {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD, **AGREED}
    page = client.post("/accounts/signup/", data, follow=True)
    assert "has just been made. Log in." in page.content.decode()
    assert User.objects.count() == 1
    assert "_auth_user_id" not in client.session


def log_in(client: Browser, email: str, password: str):
    for user in User.objects.filter(email__iexact=email):
        agreements.agree(user=user)
    return client.post("/accounts/login/", {"login": email, "password": password})


def is_logged_in(client: Browser) -> bool:
    return client.get("/account/").status_code == 200


def test_sign_up_log_out_log_in_reset(client, settings):
    settings.PASSWORD_HASHERS = ARGON2
    sign_up(client, "Jo@Example.org")
    assert is_logged_in(client)
    user = User.objects.get(email="jo@example.org")
    assert identify_hasher(user.password).algorithm == "argon2"
    assert not user.memberships.exists()

    client.post("/accounts/logout/")
    assert not is_logged_in(client)
    assert log_in(client, "JO@example.org", PASSWORD).status_code == 302
    assert is_logged_in(client)
    client.post("/accounts/logout/")

    mail.outbox.clear()
    answer = client.post("/accounts/password/reset/", {"email": "jo@example.org"}, follow=True)
    assert "Check your email" in answer.content.decode()
    link = re.search(r"https?://testserver(\S+)", mail.outbox[0].body)
    page = client.get(link[1], follow=True)
    answer = client.post(
        page.request["PATH_INFO"],
        {"password1": "an altogether new phrase", "password2": "an altogether new phrase"},
        follow=True,
    )
    assert "Your password has been changed" in answer.content.decode()
    assert log_in(client, "jo@example.org", PASSWORD).status_code == 200
    assert not is_logged_in(client)
    assert log_in(client, "jo@example.org", "an altogether new phrase").status_code == 302
    assert is_logged_in(client)
    # The link works once.
    assert "This link no longer works" in client.get(link[1], follow=True).content.decode()


def test_a_reset_for_a_stranger_tells_nobody_whether_there_is_an_account(client):
    UserFactory(email="known@example.org")
    answers = [
        client.post("/accounts/password/reset/", {"email": email}, follow=True).content
        for email in ("known@example.org", "unknown@example.org")
    ]
    assert answers[0] == answers[1]
    assert [message.to for message in mail.outbox] == [
        ["known@example.org"],
        ["unknown@example.org"],
    ]
    assert "No account uses this address" in mail.outbox[1].body


def test_failed_log_ins_are_limited(client):
    UserFactory(email="known@example.org")
    for _ in range(5):
        log_in(client, "known@example.org", "wrong")
    answer = log_in(client, "known@example.org", PASSWORD)
    assert "Too many failed login attempts" in answer.content.decode()
    assert not is_logged_in(client)


def test_the_operators_pages_use_the_same_log_in_and_its_limits(client):
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/")
    client.force_login(UserFactory())
    assert client.get("/admin/", follow=True).status_code == 403


def test_another_address_is_confirmed_before_one_logs_in_with_it(client):
    sign_up(client, "old@example.org")
    user = User.objects.get()

    def post(action: str) -> str:
        data = {"email": "new@example.org", action: ""}
        client.post("/accounts/email/", data)
        user.refresh_from_db()
        return user.email

    mail.outbox.clear()
    assert post("action_add") == "old@example.org"
    message = next(one for one in mail.outbox if one.to == ["new@example.org"])
    link = re.search(r"https?://testserver(\S+)", message.body)[1]
    assert client.get(link).status_code == 200
    assert "Log in with this address" not in client.get("/accounts/email/").content.decode()
    client.post(link)
    assert "Log in with this address" in client.get("/accounts/email/").content.decode()
    assert post("action_primary") == "new@example.org"
    client.post("/accounts/email/", {"email": "old@example.org", "action_remove": ""})
    client.post("/accounts/logout/")
    assert log_in(client, "old@example.org", PASSWORD).status_code == 200
    assert log_in(client, "new@example.org", PASSWORD).status_code == 302


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/login/",
        "/accounts/signup/",
        "/accounts/password/reset/",
        "/accounts/password/reset/done/",
        "/accounts/password/reset/key/done/",
        "/accounts/password/reset/key/1-set-password/",
        "/accounts/confirm-email/",
        "/accounts/confirm-email/forged/",
        "/accounts/inactive/",
    ],
)
def test_pages_before_log_in_are_in_our_look_and_obey_the_policy(client, path):
    answer = client.get(path)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Research software, not a medical device." in text
    assert 'class="entrance"' in text
    assert not re.search(INLINE, text)
    assert "script-src" not in answer["Content-Security-Policy"]  # so default-src, 'self', holds
    assert "default-src 'self'" in answer["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/email/",
        "/accounts/password/change/",
        "/accounts/logout/",
        "/accounts/reauthenticate/",
        "/account/",
        "/clinics/new/",
    ],
)
def test_pages_behind_log_in_are_in_our_look(client, path):
    UserFactory(email="known@example.org")
    log_in(client, "known@example.org", PASSWORD)
    answer = client.get(path)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Research software, not a medical device." in text
    assert 'aria-label="Main"' in text
    assert not re.search(INLINE, text)


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(), SMTPServerDisconnected(), SMTPRecipientsRefused({})]
)
@pytest.mark.parametrize("verification", ["optional", "mandatory"])
def test_a_mail_server_that_is_away_breaks_no_page(
    error, verification, client, settings, monkeypatch
):
    settings.ACCOUNT_EMAIL_VERIFICATION = verification

    def away(self: EmailMessage) -> int:
        raise error

    monkeypatch.setattr(EmailMessage, "send", away)
    data = {"email": "jo@example.org", "password1": PASSWORD, "password2": PASSWORD, **AGREED}
    page = client.post("/accounts/signup/", data, follow=True)
    assert page.status_code == 200
    assert adapter.NOT_SENT in page.content.decode()
    assert "We have sent a link" not in page.content.decode()
    assert User.objects.filter(email="jo@example.org").exists()
    assert is_logged_in(client) == (verification == "optional")

    client.post("/accounts/logout/")
    page = client.post("/accounts/password/reset/", {"email": "jo@example.org"}, follow=True)
    assert page.status_code == 200
    assert adapter.NOT_SENT in page.content.decode()

    monkeypatch.undo()
    client.post("/accounts/password/reset/", {"email": "jo@example.org"})
    assert len(mail.outbox) == 1


def test_sign_up_says_how_long_a_password_is_and_refuses_a_shorter_one(client, db):
    page = client.get("/accounts/signup/").content.decode()
    assert "At least 12 characters" in page
    short = {"email": "p@example.org", "password1": "kq7-Zr4-mu2", "password2": "kq7-Zr4-mu2"}
    answer = client.post("/accounts/signup/", short).content.decode()
    assert "at least 12 characters" in answer
