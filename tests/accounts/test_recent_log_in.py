"""What hands out access or data, or lowers the protection, asks for a recent log-in."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import get_resolver, reverse

from accounts import agreements, services
from accounts.models import User
from screening.models import Export, Share
from tests.clients import Browser, Program
from tests.factories import PASSWORD, LesionFactory, UserFactory
from tests.test_access_matrix import addresses

pytestmark = pytest.mark.django_db
# By its name in the URLs; those of allauth are its own.
PAGES = {
    "api_key_new",
    "application_new",
    "application_renew",
    "application_keys",
    "application_take_over",
    "clinic_second_factor",
    "clinic_bound_keys",
    "clinic_invite",
    "clinic_code",
    "membership_role",
    "account_erase",
    "patient_erase",
    "erasure_confirm",
    "session_end",
    "usersessions_list",
    "account_export",
    "patient_export",
    "export_file",
    "export_fetch",
    "patient_access",
    "patient_clinic",
    "calendar_link",
    "webhook_new",
    "clinic_webhook_new",
    "webhook_edit",
    "webhook_rotate",
    "webhook_on",
    "dicom_node_new",
    "dicom_node_edit",
}
READ_TOO = {"export_file", "export_fetch"}
OPERATIONS = {
    "ExportViewSet": {"create"},
    "ExportFileView": {"get", "head"},
    "WebhookViewSet": {"create", "partial_update", "rotate"},
    "DicomNodeViewSet": {"create", "partial_update"},
    "FollowingViewSet": {"create"},
    "CalendarView": {"post"},
}
UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def _no_earlier_tries():
    cache.clear()


def logged_in(user: User, seconds_ago: int) -> Browser:
    client = Browser()
    client.force_login(user)
    session = client.session
    at = time.time() - seconds_ago
    session["account_authentication_methods"] = [{"method": "password", "at": at}]
    session.save()
    return client


def is_asked(answer: Any) -> bool:
    return answer.status_code == 302 and answer.url.startswith(reverse("account_reauthenticate"))


def asking() -> dict[str, str]:
    """The routes of our pages that ask, by name."""
    return {
        name: route
        for name, route, view in addresses(get_resolver().url_patterns)
        if getattr(view, "asks_recent_log_in", False)
    }


def test_the_pages_that_ask_are_these():
    assert asking().keys() == PAGES


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_asks_ten_minutes_after_the_log_in_and_not_before(name):
    """Before it looks for what the address names: nobody learns what there is."""
    route = asking()[name]
    path = "/" + route
    path = path.replace("<int:pk>", "0")
    for part in ("<uuid:pk>", "<uuid:application_pk>", "<uuid:membership_pk>", "<str:token>"):
        path = path.replace(part, UNKNOWN)
    user = UserFactory()
    old, new = logged_in(user, 601), logged_in(user, 599)
    for client, asked in ((old, True), (new, False)):
        answer = client.get(path) if name in READ_TOO else client.post(path, {})
        assert is_asked(answer) is asked, answer


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/accounts/email/", {"email": "new@example.org", "action_add": ""}),
        ("/accounts/2fa/totp/activate/", {"code": "1"}),
        ("/accounts/2fa/webauthn/add/", {"credential": "{}"}),
        ("/accounts/2fa/recovery-codes/generate/", {}),
    ],
)
def test_addresses_and_factors_ask_as_well(path, data):
    user = UserFactory()
    assert is_asked(logged_in(user, 601).post(path, data))
    assert not is_asked(logged_in(user, 599).post(path, data))


def test_the_operations_that_ask_are_these():
    views = {getattr(view, "cls", None) for _, _, view in addresses(get_resolver().url_patterns)}
    asking = [view for view in views if hasattr(view, "recent_log_in")]
    assert {view.__name__: set(view.recent_log_in) for view in asking} == OPERATIONS


@pytest.mark.parametrize("path", ["exports", "webhooks", "dicom-nodes", "followings"])
def test_a_session_that_uses_the_api_is_asked_and_a_key_is_not(personas, path):
    address, person = f"/api/v1/{path}/", personas.self_tracker
    answers = [logged_in(person, ago).post(address, {}, "application/json") for ago in (601, 599)]
    key = Program(services.create_api_key(user=person, name="Script")[1])
    answers.append(key.post(address, {}))
    asked = [answer.status_code == 403 and "Log in again" in answer.text for answer in answers]
    assert asked == [True, False, False]


def test_a_link_to_one_spot_is_made_after_the_password(personas):
    """With what was typed before it was asked for."""
    person, lesion = personas.self_tracker, LesionFactory(patient=personas.own_patient)
    client = logged_in(person, 601)
    access = reverse("patient_access", args=[personas.own_patient.pk])
    page = client.get(f"{access}?lesion={lesion.pk}").text
    assert f'name="lesion" value="{lesion.pk}"' in page
    sent = {"lesion": str(lesion.pk), "recipient": "Dr. X", "days": 7, "message": "Please look"}
    asked = client.post(access, sent)
    assert is_asked(asked)
    assert not Share.objects.exists()
    assert "/shared/" in client.post(asked.url, {"password": PASSWORD}).text
    made = Share.objects.get()
    assert (made.lesion, made.message) == (lesion, "Please look")


def test_a_log_in_again_gives_the_session_another_key():
    user = UserFactory()
    agreements.agree(user=user)
    client = Browser()
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    former = client.session.session_key
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert client.session.session_key != former
    assert client.get("/account/").status_code == 200
    assert "(this one)" in client.get(reverse("usersessions_list")).text
    client.cookies["sessionid"] = former
    assert client.get("/account/").status_code == 302


def test_an_export_is_asked_for_after_the_password(personas):
    client = logged_in(personas.self_tracker, 601)
    assert client.get(reverse("account_export")).status_code == 200
    assert is_asked(client.post(reverse("account_export")))
    assert not Export.objects.exists()
