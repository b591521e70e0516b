"""The account page: the name, and the keys for other programs."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import services
from accounts.models import ApiKey
from tests.clients import Browser, Program

CURL = re.compile(r'curl -H "Authorization: Bearer (sk_[\w-]+)" (\S+?)</code>')


def create_key(client: Browser, name: str = "Practice software"):
    return client.post("/account/keys/", {"name": name, "days": 30, "access": "write"})


def test_a_name_is_saved(client, personas):
    client.force_login(personas.stranger)
    client.post("/account/", {"first_name": " Kim ", "last_name": "Example", "is_staff": "on"})
    personas.stranger.refresh_from_db()
    assert str(personas.stranger) == "Kim Example"
    assert not personas.stranger.is_staff
    answer = client.post("/account/", {"first_name": "k" * 151, "last_name": ""})
    assert "at most 150 characters" in answer.content.decode()


def test_a_key_is_shown_once_works_and_is_revoked(client, personas):
    client.force_login(personas.assistant)
    page = create_key(client)
    assert "no-store" in page["Cache-Control"]
    secret, url = CURL.search(page.content.decode()).groups()
    key = personas.assistant.api_keys.get()
    assert secret not in client.get("/account/").content.decode()
    assert key.prefix in client.get("/account/").content.decode()
    assert secret not in str(ApiKey.objects.values())

    program = Program()
    headers = {"Authorization": f"Bearer {secret}"}
    answer = program.get(url, headers=headers)
    assert answer.status_code == 200
    assert [one["label"] for one in answer.json()["results"]] == [personas.patient.label]
    key.refresh_from_db()
    assert key.last_used_at
    assert "last used" in client.get("/account/").content.decode()

    answer = client.post(f"/account/keys/{key.pk}/revoke/", follow=True)
    assert "no longer works" in answer.content.decode()
    assert key.prefix not in client.get("/account/").content.decode()
    assert program.get(url, headers=headers).status_code == 401


def test_a_key_needs_a_name(client, personas):
    client.force_login(personas.assistant)
    answer = create_key(client, "  ")
    assert answer.status_code == 200
    assert "This field is required" in answer.content.decode()
    assert not ApiKey.objects.exists()


def test_nobody_revokes_anothers_key(client, personas):
    key, _ = services.create_api_key(user=personas.clinician, name="x")
    client.force_login(personas.admin)
    assert client.post(f"/account/keys/{key.pk}/revoke/").status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


def test_revoking_twice_keeps_the_first_date(personas):
    key, _ = services.create_api_key(user=personas.clinician, name="x")
    services.revoke_api_key(user=personas.clinician, key=key)
    key.refresh_from_db()
    first = key.revoked_at
    services.revoke_api_key(user=personas.clinician, key=key)
    key.refresh_from_db()
    assert key.revoked_at == first


@pytest.mark.parametrize(("age", "is_written"), [(30, False), (90, True)])
def test_use_is_written_down_once_a_minute(personas, age, is_written):
    key, secret = services.create_api_key(user=personas.clinician, name="x")
    earlier = timezone.now() - timedelta(seconds=age)
    ApiKey.objects.update(last_used_at=earlier)
    Program(secret).get("/api/v1/patients/")
    key.refresh_from_db()
    assert (key.last_used_at != earlier) == is_written


def test_the_page_costs_the_same_with_many_keys(client, personas, django_assert_max_num_queries):
    client.force_login(personas.admin)
    for number in range(30):
        services.create_api_key(user=personas.admin, name=f"Key {number}")
    # Session, user, memberships, keys, webhooks, two for storage use, and at most two for the
    # navigation.
    with django_assert_max_num_queries(10):
        assert "Key 29" in client.get("/account/").content.decode()


def test_a_name_that_another_tab_changed_is_not_overwritten(client, personas):
    client.force_login(personas.stranger)
    first = {"first_name": "Kim", "last_name": "Example"}
    client.post("/account/", first | {"opened": '{"first_name": "", "last_name": ""}'})
    stale = {"first_name": "Ada", "last_name": "", "opened": '{"first_name": "", "last_name": ""}'}
    page = client.post("/account/", stale).content.decode()
    assert "Now: “Kim”. You entered: “Ada”." in page
    personas.stranger.refresh_from_db()
    assert str(personas.stranger) == "Kim Example"
