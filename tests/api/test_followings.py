"""A clinic follows a person's record, over the API."""

from __future__ import annotations

import pytest

from accounts import services as accounts
from accounts.models import Clinic
from screening.erasure import services as erasure
from screening.interop import identifiers
from screening.models import Following, Patient
from screening.privacy import following as followings
from screening.privacy import services as audit
from tests.api.conftest import pointers
from tests.clients import Program
from tests.factories import FollowingFactory, PatientFactory
from tests.privacy.entries import entries

pytestmark = pytest.mark.django_db

LIST = "/api/v1/followings/"


@pytest.fixture
def record(personas):
    return personas.own_patient


@pytest.fixture
def person(personas, client_of):
    return client_of(personas.self_tracker)


@pytest.fixture
def invited(personas, person, record):
    clinic = accounts.renew_code(user=personas.admin, clinic=personas.clinic)
    body = {"patient": str(record.pk), "code": clinic.written_code}
    response = person.post(LIST, body, format="json")
    assert response.status_code == 201, response.content
    return response.json()


def clinic_code(following) -> str:
    return str(Clinic.objects.get(pk=following["clinic"]).code)


def act(client, following, what, body=None):
    return client.post(f"{LIST}{following['id']}/{what}/", body or {}, format="json")


def test_from_the_invitation_to_the_end(person, clinician, personas, record, invited):
    assert (invited["state"], invited["patient"]) == ("waiting", str(record.pk))
    (seen,) = clinician.get(LIST).json()["results"]
    assert (seen["id"], seen["patient"]) == (invited["id"], None)
    assert seen["invited_by"] == str(personas.self_tracker)
    address = f"/api/v1/patients/{record.pk}/"
    assert clinician.get(address).status_code == 404

    accepted = act(clinician, invited, "accept", {"label": "N-7"}).json()
    assert (accepted["state"], accepted["patient"]) == ("follows", str(record.pk))
    assert clinician.get(address).json()["label"] == "N-7"
    assert person.get(LIST, {"state": "follows"}).json()["results"][0]["id"] == invited["id"]
    assert act(clinician, invited, "end").status_code == 403

    ended = act(person, invited, "end").json()
    assert (ended["state"], ended["invited_by"]) == ("ended", str(personas.self_tracker))
    assert clinician.get(address).status_code == 404
    (left,) = clinician.get(LIST).json()["results"]
    assert (left["state"], left["patient"], left["invited_by"]) == ("ended", None, None)
    assert act(person, invited, "end").json() == ended, "again it changes nothing"


def test_an_invitation_is_declined_or_withdrawn(person, clinician, personas, record, invited):
    declined = act(clinician, invited, "decline").json()
    assert (declined["state"], declined["patient"]) == ("declined", None)
    assert declined["invited_by"] is None
    assert person.get(f"{LIST}{invited['id']}/").json()["state"] == "declined"
    personas.clinic.refresh_from_db()
    body = {"patient": str(record.pk), "code": personas.clinic.code}
    again = person.post(LIST, body, format="json").json()
    assert act(person, again, "end").json()["state"] == "withdrawn"
    assert [one["id"] for one in clinician.get(LIST).json()["results"]] == [invited["id"]]
    assert act(clinician, again, "accept").status_code == 404


def test_what_is_sent_again_is_answered_as_before(person, clinician, record, invited):
    """The person is no member of the clinic, and the clinic does not see the record."""
    act(person, invited, "end")
    body, key = (
        {"patient": str(record.pk), "code": clinic_code(invited)},
        {"HTTP_IDEMPOTENCY_KEY": "k"},
    )
    first, again = (person.post(LIST, body, format="json", **key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
    address = f"{LIST}{first.json()['id']}/decline/"
    first, again = (clinician.post(address, {}, format="json", **key) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert Following.objects.count() == 2


def test_what_is_wrong_is_told_where_it_is(person, clinician, record, personas, invited):
    other = PatientFactory(own=True, owner=personas.self_tracker)
    refused = person.post(LIST, {"patient": str(other.pk), "code": "0000-0000-0000"}, format="json")
    assert refused.status_code == 400
    assert "No clinic has this code" in pointers(refused)["/code"]
    assert "/patient" in pointers(person.post(LIST, {"code": "A"}, format="json"))
    nothing = person.post(LIST, {"patient": None, "code": "A"}, format="json")
    assert "/patient" in pointers(nothing)
    assert act(clinician, invited, "accept", {"label": "", "note": "x"}).status_code == 400
    assert act(clinician, invited, "accept").status_code == 200
    over = act(clinician, invited, "accept")
    assert (over.status_code, "in the meantime" in over.content.decode()) == (400, True)


def test_a_key_of_the_clinic_answers_and_ends_nothing(personas, invited):
    """One that is bound to a clinic acts for it alone, whoever made it."""
    bound = accounts.create_api_key(user=personas.clinician, name="k", clinic=personas.clinic)[1]
    clinic = Program(bound)
    assert [one["id"] for one in clinic.get(LIST).json()["results"]] == [invited["id"]]
    assert act(clinic, invited, "accept").status_code == 200
    assert act(clinic, invited, "end").status_code == 403


def test_each_act_is_in_the_record_of_accesses(person, clinician, personas, record, invited):
    act(clinician, invited, "accept")
    act(person, invited, "end")
    audit.chain_all()
    acts = [
        (entry.what, entry.actor)
        for entry in entries()
        if entry.act == "write" and str(record.pk) in entry.details["patients"]
    ]
    assert acts == [
        ("api:following-list", personas.self_tracker.pk),
        ("api:following-accept", personas.clinician.pk),
        ("api:following-end", personas.self_tracker.pk),
    ]


def test_the_list_costs_the_same_for_many(person, personas, django_assert_max_num_queries):
    FollowingFactory.create_batch(
        12, clinic=personas.clinic, invited_by=personas.self_tracker, accepted=True
    )
    # The key and its owner; their agreement; the rows.
    with django_assert_max_num_queries(12):
        assert len(person.get(LIST).json()["results"]) == 12


def test_a_clinic_that_leaves_takes_its_label_along(personas, record, invited, settings):
    settings.RETENTION_YEARS = 0
    before = record.label
    followings.accept(user=personas.clinician, following=Following.objects.get(), label="N-7")
    asked = erasure.ask_for_record(user=personas.clinician, patient=record, ground="unlawful")
    erasure.confirm(user=personas.admin, erasure=asked)
    record = Patient.objects.get(pk=record.pk)
    assert (record.clinic, record.label) == (None, before)


@pytest.mark.parametrize("label", ["N-7", ""])
def test_the_record_is_called_as_before_once_it_ended(personas, record, invited, label):
    """The clinic's number goes with the clinic's identifiers, and the person's name comes back."""
    before = record.label
    following = Following.objects.get()
    followings.accept(user=personas.clinician, following=following, label=label)
    record = Patient.objects.get(pk=record.pk)
    assert record.label == (label or before)
    number = [{"system": "urn:north", "value": "7"}]
    identifiers.set_identifiers(user=personas.clinician, record=record, identifiers=number)
    followings.end(user=personas.self_tracker, following=Following.objects.get())
    record.refresh_from_db()
    assert record.label == before
    assert not record.identifiers.exists()
