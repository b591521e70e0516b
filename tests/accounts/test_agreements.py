"""The privacy page and the terms: shown, agreed to, shown again when they change, withdrawn."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import AccessToken, RefreshToken

from accounts import agreements, applications, services
from accounts.models import Agreement, ApiKey, Application, Clinic, User
from screening.models import Batch, CalendarFeed, Export, Patient, Share, Webhook
from screening.privacy import sharing
from screening.reminders import emails
from screening.reminders.services import make_calendar_link
from tests.accounts.test_log_in import AGREED
from tests.api.test_scopes import token_for
from tests.clients import Browser, Program
from tests.factories import (
    PASSWORD,
    BatchFactory,
    LesionFactory,
    PatientFactory,
    ReminderFactory,
    UserFactory,
    WebhookFactory,
)

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


def credentials(admin: User, record: Patient) -> dict[type[Model], Callable[[], int]]:
    """By the table that holds it, each kind of credential that comes from a person: asks for health
    data with it, and tells the status.
    """
    clinic, browser = Clinic.objects.get(memberships__user=admin), by_password(admin)
    key = Program(services.create_api_key(user=admin, name="Script")[1])
    system = applications.register_application(
        user=admin, clinic=clinic, name="Practice", role="viewer", scopes=["patients:read"]
    )
    program = Program(token_for(browser, system).json()["access_token"])
    calendar = f"/calendar/{make_calendar_link(user=admin)}.ics"
    link = f"/shared/{sharing.share(user=admin, patient=record, recipient='Dr', days=7)[1]}/"
    return {
        Session: lambda: browser.get(f"/patients/{record.pk}/").status_code,
        ApiKey: lambda: key.get("/api/v1/patients/").status_code,
        AccessToken: lambda: program.get("/api/v1/patients/").status_code,
        Application: lambda: token_for(Browser(), system).status_code,
        CalendarFeed: lambda: Browser().get(calendar).status_code,
        Share: lambda: Browser().get(link).status_code,
    }


def test_nothing_of_a_person_who_withdrew_opens_anything_until_they_agree_again(personas):
    admin = personas.admin
    record = PatientFactory(clinic=None, owner=admin)
    agreements.agree(user=admin)
    opens, here = credentials(admin, record), by_password(admin)
    assert {kind.__name__: ask() for kind, ask in opens.items()} == dict.fromkeys(
        (kind.__name__ for kind in opens), 200
    )
    here.post("/privacy/withdraw/")
    shut = {Session: 302, ApiKey: 403, AccessToken: 401, Application: 401}
    shut |= {CalendarFeed: 404, Share: 404}
    assert {kind: ask() for kind, ask in opens.items()} == shut
    here.post("/privacy/agree/", AGREED)
    assert {ask() for ask in opens.values()} == {200}


def test_every_table_of_credentials_is_among_them(personas):
    """A new one is asked for the agreement too, or named here with the reason why not."""
    signs = {"secret_sha256", "client_secret", "token_checksum", "session_data"}
    tables = {one for one in apps.get_models() if signs & {f.name for f in one._meta.get_fields()}}
    agreements.agree(user=personas.admin)
    of_a_person = credentials(personas.admin, PatientFactory(clinic=None, owner=personas.admin))
    assert tables - of_a_person.keys() == {RefreshToken}  # not used: no rows


@pytest.mark.parametrize("path", ["/fhir/R4/Patient", "/dicomweb/studies", "/api/v1/lesions/"])
def test_every_interface_refuses_the_key_of_a_person_who_withdrew(personas, path):
    person = personas.self_tracker
    agreements.agree(user=person)
    key = Program(services.create_api_key(user=person, name="Script")[1])
    assert key.get(path).status_code == 200
    agreements.withdraw(user=person)
    assert key.get(path).status_code == 403


def test_writing_stops_too_and_export_and_erasure_stay_open(personas):
    person = personas.self_tracker
    agreements.agree(user=person)
    client, key = by_password(person), Program(services.create_api_key(user=person, name="x")[1])
    text = client.get("/patients/new/").text
    token = re.search(r'name="form_token" value="([^"]+)"', text)[1].replace("&quot;", '"')
    agreements.withdraw(user=person)
    assert key.post("/api/v1/patients/", {"label": "New"}).status_code == 403
    for form in ({}, {"form_token": token}):  # the second as from a page that was open
        assert client.post("/patients/new/", {"label": "New", **form}).url == reverse("agree")
    assert not Patient.objects.filter(label="New").exists()

    page = client.get(reverse("agree")).text
    for name in ("account_export", "account_erase"):
        assert reverse(name) in page
        assert client.get(reverse(name)).status_code == 200
    asked = client.post(reverse("account_export"))
    assert client.get(asked.url).status_code == 200
    assert Export.objects.get().requested_by == person
    assert client.post(reverse("account_erase"), {"typed": person.email}).url == reverse("erasures")
    assert client.get(reverse("erasures")).status_code == 200


def test_a_single_record_of_ones_own_can_be_erased_without_agreement(personas):
    person, record = personas.self_tracker, personas.own_patient
    agreements.agree(user=person)
    client = by_password(person)
    agreements.withdraw(user=person)
    path = reverse("patient_erase", args=[record.pk])
    assert path in client.get(reverse("agree")).text
    assert client.get(path).status_code == 200
    assert client.post(path, {"typed": record.label}).url == reverse("erasures")
    assert record.erasures.open().exists()
    assert path not in client.get(reverse("agree")).text
    assert User.objects.get(pk=person.pk).erased_from is None


def test_a_clinics_record_stays_closed_to_a_member_who_withdrew(personas):
    agreements.agree(user=personas.clinician)
    client = by_password(personas.clinician)
    path = reverse("patient_erase", args=[personas.patient.pk])
    assert client.get(path).status_code == 200
    agreements.withdraw(user=personas.clinician)
    assert client.get(path).url == reverse("agree")


def test_what_runs_by_itself_rests_too(personas):
    person = personas.self_tracker
    agreements.agree(user=person)
    own = WebhookFactory(clinic=None, owner=person)
    batch = BatchFactory(clinic=None, created_by=person, state="queued")
    lesion = LesionFactory(patient=personas.own_patient)
    reminder = ReminderFactory(lesion=lesion, set_by=person, due_on=timezone.localdate())
    assert emails.addressees() == {person.pk: [reminder.pk]}
    agreements.withdraw(user=person)
    assert not Webhook.objects.enabled().contains(own)
    assert not Batch.objects.workable().contains(batch)
    assert emails.addressees() == {}
    agreements.agree(user=person)
    assert Webhook.objects.enabled().contains(own)
    assert Batch.objects.workable().contains(batch)
    assert emails.addressees() == {person.pk: [reminder.pk]}


def test_a_clinic_goes_on_without_the_member_who_withdrew(personas):
    """Its own records are not theirs to close."""
    agreements.agree(user=personas.assistant)
    agreements.withdraw(user=personas.assistant)
    assert (
        by_password(personas.assistant).get(f"/patients/{personas.patient.pk}/").status_code == 302
    )
    client = Browser()
    client.force_login(personas.clinician)
    assert client.get(f"/patients/{personas.patient.pk}/").status_code == 200
