"""The privacy page and the terms: shown, agreed to, shown again when they change, withdrawn."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts import agreements
from accounts.models import Agreement, User
from tests.accounts.test_log_in import AGREED
from tests.clients import Browser
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
NEW = {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD}


@pytest.fixture(autouse=True)
def _no_earlier_tries():
    cache.clear()


def by_password(user: User) -> Browser:
    client = Browser()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    return client


@pytest.mark.parametrize("left_out", sorted(AGREED))
def test_no_account_without_the_age_and_the_agreement(client, left_out):
    ticked = {name: "on" for name in AGREED if name != left_out}
    answer = client.post("/accounts/signup/", NEW | ticked)
    assert answer.context["form"].errors.keys() == {left_out}
    assert not User.objects.exists()


def test_a_sign_up_keeps_what_was_agreed_to_and_when(client):
    client.post("/accounts/signup/", NEW | AGREED)
    kept = Agreement.objects.get(user__email="new@example.org")
    assert kept.version == agreements.version()
    assert client.get("/account/").status_code == 200


def test_nothing_is_ticked_before(client):
    page = client.get("/accounts/signup/").content.decode()
    assert "I am 16 years old or older" in page
    assert "not for emergencies" in page
    assert " checked" not in page


def test_texts_that_change_are_shown_again(client, monkeypatch):
    user = UserFactory()
    agreements.agree(user=user)
    client = by_password(user)
    assert client.get("/account/").status_code == 200
    monkeypatch.setattr(agreements, "version", lambda: "ffffffffffff")
    for browser in (client, by_password(user)):  # in an open session too
        for path in ("/account/", "/patients/", "/"):
            assert browser.get(path).url == reverse("agree"), path
        assert browser.get("/privacy/").status_code == 200
    assert client.post("/privacy/agree/", {"of_age": "on"}).status_code == 200
    client.post("/privacy/agree/", AGREED)
    assert client.get("/account/").status_code == 200
    assert {one.version for one in user.agreements.all()} > {"ffffffffffff"}


def test_an_agreement_is_withdrawn_and_stays_on_record(client):
    user = UserFactory()
    agreements.agree(user=user)
    client = by_password(user)
    client.post("/privacy/withdraw/")
    assert client.get("/account/").url == reverse("agree")
    assert client.get("/api/v1/patients/").status_code == 403
    assert user.agreements.get().withdrawn_at
    assert by_password(user).get("/account/").url == reverse("agree")
    client.post("/privacy/agree/", AGREED)
    assert client.get("/account/").status_code == client.get("/api/v1/patients/").status_code == 200
    assert user.agreements.count() == 2


def test_the_version_follows_the_words(monkeypatch, tmp_path, settings):
    """An operator edits a copy of a template: everyone is asked again."""
    before = agreements.version()
    (tmp_path / "privacy").mkdir()
    (tmp_path / "privacy" / "terms.html").write_text("Other terms")
    engine = settings.TEMPLATES[0]
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path, *engine["DIRS"]]}]
    agreements.version.cache_clear()
    assert agreements.version() != before
    agreements.version.cache_clear()


def test_the_operator_is_named(client, settings):
    settings.OPERATOR, settings.OPERATOR_CONTACT = "North clinic", "privacy@north.example"
    page = client.get("/privacy/").content.decode()
    assert "North clinic runs this site" in page
    assert "privacy@north.example" in page
