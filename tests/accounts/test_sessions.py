"""Sessions: where a user is logged in, how they end, and what the account's owner is told
by mail.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from accounts import agreements, services
from accounts.devices import named
from tests.accounts.test_log_in import AGREED
from tests.clients import Browser
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)


@pytest.fixture(autouse=True)
def _no_earlier_tries():
    cache.clear()


@pytest.fixture
def person():
    user = UserFactory(email="jo@example.org")
    agreements.agree(user=user)
    return user


def logged_in(agent: str = FIREFOX) -> Browser:
    client = Browser(HTTP_USER_AGENT=agent)
    answer = client.post("/accounts/login/", {"login": "jo@example.org", "password": PASSWORD})
    assert answer.status_code == 302
    return client


def is_in(client: Browser) -> bool:
    return client.get("/account/").status_code == 200


def test_browsers_are_named_in_words_of_ours():
    assert named(FIREFOX) == "Firefox on Linux"
    assert named(PHONE) == "Safari on iPhone"
    assert named("<b>Read this: www.example.org</b>") == "An unknown program"


def test_one_session_is_ended_from_another(person):
    here, there = logged_in(), logged_in(PHONE)
    page = here.get("/accounts/sessions/").content.decode()
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    there_row = UserSession.objects.get(session_key=there.session.session_key)
    here.post(reverse("session_end", args=[there_row.pk]))
    assert is_in(here)
    assert not is_in(there)


def test_all_others_are_ended_at_once(person):
    here, others = logged_in(), [logged_in(), logged_in(PHONE)]
    here.post("/accounts/sessions/")
    assert is_in(here)
    assert not any(map(is_in, others))


def test_a_session_of_someone_else_is_not_there(client, person):
    row = UserSession.objects.get(session_key=logged_in().session.session_key)
    client.force_login(UserFactory())
    assert client.post(reverse("session_end", args=[row.pk])).status_code == 404
    assert UserSession.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize(
    ("since", "seen", "stays"), [(0, 59, True), (0, 61, False), (86_400 * 14 + 60, 1, False)]
)
def test_a_session_ends_that_nobody_uses_or_that_is_old(client, settings, since, seen, stays):
    settings.SESSION_IDLE_MINUTES = 1
    client.force_login(UserFactory())
    session = client.session
    session["seen"] -= seen
    session["since"] -= max(since, seen)
    session.save()
    assert is_in(client) == stays


def test_the_browser_forgets_pictures_when_a_session_ends(person, settings):
    settings.SESSION_IDLE_MINUTES = 1
    here, idle = logged_in(), logged_in(PHONE)
    assert is_in(idle)
    assert "Clear-Site-Data" not in here.get("/account/")
    assert here.post("/accounts/logout/")["Clear-Site-Data"] == '"cache"'
    session = idle.session
    session["seen"] -= 61
    session.save()
    assert idle.get("/account/")["Clear-Site-Data"] == '"cache"'
    assert "Clear-Site-Data" not in idle.get("/accounts/login/")


def test_what_is_kept_of_ended_sessions_is_deleted(person):
    here, ended, expired = logged_in(), logged_in(), logged_in(PHONE)
    ended.session.flush()
    long_ago = timezone.now() - timedelta(seconds=1)
    Session.objects.filter(session_key=expired.session.session_key).update(expire_date=long_ago)
    services.forget_ended_sessions()
    assert is_in(here)
    key = here.session.session_key
    assert list(Session.objects.values_list("session_key", flat=True)) == [key]
    assert list(UserSession.objects.values_list("session_key", flat=True)) == [key]


def test_use_keeps_a_session(client, settings):
    settings.SESSION_IDLE_MINUTES = 2
    client.force_login(UserFactory())
    for _ in range(3):
        session = client.session
        session["seen"] -= 90
        session.save()
        assert is_in(client)


def test_a_new_browser_is_told_once(person):
    client = logged_in()
    told = [one for one in mail.outbox if "new browser" in one.subject]
    assert [one.to for one in told] == [["jo@example.org"]]
    assert "Firefox on Linux" in told[0].body
    client.post("/accounts/logout/")
    client.post("/accounts/login/", {"login": "jo@example.org", "password": PASSWORD})
    assert len(mail.outbox) == 1
    logged_in(PHONE)
    assert len(mail.outbox) == 2


def test_a_cookie_of_another_account_makes_no_browser_known(client, person):
    UserFactory(email="al@example.org")
    client.post("/accounts/login/", {"login": "al@example.org", "password": PASSWORD})
    client.post("/accounts/logout/")
    mail.outbox.clear()
    client.post("/accounts/login/", {"login": "jo@example.org", "password": PASSWORD})
    assert [one.to for one in mail.outbox] == [["jo@example.org"]]


def test_keys_are_told_of(person, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        key, secret = services.create_api_key(user=person, name="Practice")
        services.revoke_api_key(user=person, key=key)
        services.revoke_api_key(user=person, key=key)
    assert [one.subject for one in mail.outbox] == [
        "SkinCheck: an API key was created",
        "SkinCheck: an API key was revoked",
    ]
    assert "“Practice”" in mail.outbox[0].body
    assert secret not in mail.outbox[0].body


NEW = "an altogether new phrase"


@pytest.mark.parametrize("ends", [True, False])
def test_a_new_password_ends_sessions_and_keys_if_asked_and_says_which_live_on(person, ends):
    services.create_api_key(user=person, name="Practice")
    here, there = logged_in(), logged_in(PHONE)
    mail.outbox.clear()
    data = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    answer = here.post(
        "/accounts/password/change/", data | ({"end_keys": "on"} if ends else {}), follow=True
    )
    text, body = answer.content.decode(), mail.outbox[0].body
    assert "Your password has been changed." in text
    assert person.api_keys.active().exists() is not ends
    assert ("These API keys still work: Practice." in text) is not ends
    assert ("These API keys still work: Practice." in body) is not ends
    assert is_in(here)
    assert not is_in(there)


def test_nobody_without_keys_is_asked_about_them(client):
    client.force_login(UserFactory())
    assert "end_keys" not in client.get("/accounts/password/change/").content.decode()


@pytest.mark.parametrize(
    "password",
    [
        *("eleven sign", "password1234", "123456789012", "jo.example.jo"),
        *("SkinCheck-2026", "northside 1234", "Melanomadoctor1"),
    ],
)
def test_weak_passwords_are_refused(client, settings, password):
    settings.OPERATOR = "Northside Practice"
    data = {"email": "jo.example@example.org", "password1": password, "password2": password}
    data |= AGREED
    assert client.post("/accounts/signup/", data).status_code == 200


def test_a_password_may_contain_a_word_of_the_site():
    validate_password("our skincheck dances slowly")


def test_a_sign_up_tells_nobody_whether_there_is_an_account(client, person, settings):
    """Where addresses must be confirmed."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    pages = []
    for email in ("jo@example.org", "new@example.org"):
        data = {"email": email, "password1": NEW, "password2": NEW, **AGREED}
        answer = Browser().post("/accounts/signup/", data, follow=True)
        pages.append(re.sub(r'value="[^"]*"|[\w.]+@example.org', "", answer.content.decode()))
    assert pages[0] == pages[1]
    assert {one.to[0] for one in mail.outbox} == {"jo@example.org", "new@example.org"}


def test_a_log_in_tells_nobody_whether_there_is_an_account(person):
    pages = []
    for email in ("jo@example.org", "new@example.org"):
        answer = Browser().post("/accounts/login/", {"login": email, "password": "wrong"})
        pages.append(re.sub(r'value="[^"]*"', "", answer.content.decode()))
    assert pages[0] == pages[1]


def hashes(monkeypatch, path: str, data: dict[str, str]) -> int:
    """How many passwords are hashed: nearly all the time that such a request takes."""
    from django.contrib.auth.hashers import MD5PasswordHasher

    encode, found = MD5PasswordHasher.encode, []

    def counted(*arguments):
        found.append(1)
        return encode(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(MD5PasswordHasher, "encode", counted)
        Browser().post(path, data)
    return len(found)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/accounts/signup/", {"password1": NEW, "password2": NEW, **AGREED}),
        ("/accounts/login/", {"password": "wrong"}),
        ("/accounts/password/reset/", {}),
    ],
)
def test_an_answer_takes_as_long_with_an_account_as_without(
    person, settings, monkeypatch, path, data
):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    name = "login" if "login" in path else "email"
    with_account, without = (
        hashes(monkeypatch, path, {**data, name: email})
        for email in ("jo@example.org", "new@example.org")
    )
    assert with_account == without


def test_a_cookie_that_can_be_no_session_is_none():
    """PostgreSQL takes no NUL."""
    browser = Browser(HTTP_COOKIE='sessionid="aaaaaaaa\\000aaaa"; csrftoken="\\000"')
    assert browser.get("/accounts/login/").status_code == 200
    assert browser.get("/patients/").status_code == 302
    assert browser.get("/api/v1/patients/").status_code == 401


@pytest.fixture
def own_counts():
    """The limits count from nothing, and other tests do not see what was counted."""
    cache.clear()
    yield
    cache.clear()


def test_one_address_signs_up_twenty_times_a_minute(client, own_counts):
    statuses = [client.post("/accounts/signup/", {}).status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]
