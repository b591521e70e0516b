"""Conventions of all endpoints: request ids, limits, conditions, fields, expansions, problem
pages.
"""

from __future__ import annotations

import logging
import re

import pytest

from accounts import services
from screening.api.http.problems import ALL
from screening.api.http.throttling import CallerThrottle
from screening.models import LesionImage, Patient
from screening.records import services as record_services
from tests.api.conftest import pointers
from tests.clients import Browser, Program
from tests.factories import LesionImageFactory, PredictionFactory, ReviewFactory

PATIENTS = "/api/v1/patients/"


@pytest.fixture
def address(personas) -> str:
    return f"{PATIENTS}{personas.patient.pk}/"


# Request ids


@pytest.mark.parametrize("given", ["abc-123", "0af7651916cd43dd8448eb211c80319c"])
def test_a_request_id_is_taken_over(clinician, given):
    assert clinician.get(PATIENTS, HTTP_X_REQUEST_ID=given)["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "é", "<script>"])
def test_one_that_is_none_is_replaced(clinician, given):
    answer = clinician.get(PATIENTS, HTTP_X_REQUEST_ID=given)["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", answer)


def test_a_problem_and_the_log_have_the_same_id(clinician, monkeypatch, capsys):
    def broken(**_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(record_services, "register_patient", broken)
    clinician.raise_request_exception = False
    root = logging.getLogger()
    stream = next(h for h in root.handlers if type(h) is logging.StreamHandler)
    with capsys.disabled():
        lines: list[str] = []
        monkeypatch.setattr(stream, "emit", lambda r: lines.append(stream.format(r)))
        response = clinician.post(PATIENTS, {"label": "X"}, HTTP_X_REQUEST_ID="seen-1")
    assert response.status_code == 500
    assert response.json()["request_id"] == response["X-Request-ID"] == "seen-1"
    assert any("[seen-1]" in line and "Internal Server Error" in line for line in lines)


def test_pages_have_one_too(client, db):
    assert client.get("/model/")["X-Request-ID"]


# Limits


def test_every_answer_tells_what_is_left(clinician):
    first, second = (clinician.get(PATIENTS) for _ in range(2))
    assert first["RateLimit-Policy"] == '"caller";q=600;w=60'
    left = [
        int(re.fullmatch(r'"caller";r=(\d+);t=\d+', r["RateLimit"])[1]) for r in (first, second)
    ]
    assert left == [599, 598]


def test_a_refusal_tells_it_as_well(clinician, monkeypatch):
    monkeypatch.setattr(CallerThrottle, "get_rate", lambda self: "1/min")
    clinician.get(PATIENTS)
    refused = clinician.get(PATIENTS)
    assert refused.status_code == 429
    assert refused["RateLimit"].startswith('"caller";r=0;t=')
    assert 1 <= int(refused["Retry-After"]) <= 60


def test_each_key_has_its_own(personas, client_of, monkeypatch):
    monkeypatch.setattr(CallerThrottle, "get_rate", lambda self: "1/min")
    one, other = client_of(personas.clinician), client_of(personas.clinician)
    assert [one.get(PATIENTS).status_code, other.get(PATIENTS).status_code] == [200, 200]
    assert one.get(PATIENTS).status_code == 429


# Conditions


def test_what_one_has_is_not_sent_again(clinician, address):
    seen = clinician.get(address)
    again = clinician.get(address, HTTP_IF_NONE_MATCH=seen["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", seen["ETag"])
    weak = clinician.get(address, HTTP_IF_NONE_MATCH=f'"x", W/{seen["ETag"]}')
    assert weak.status_code == 304
    clinician.patch(address, {"sex": "male"})
    assert clinician.get(address, HTTP_IF_NONE_MATCH=seen["ETag"]).status_code == 200


def test_a_change_of_what_one_saw_is_made(clinician, address):
    etag = clinician.get(address)["ETag"]
    done = clinician.patch(address, {"sex": "male"}, HTTP_IF_MATCH=etag)
    assert done.status_code == 200
    assert done["ETag"] == clinician.get(address)["ETag"] != etag


@pytest.mark.parametrize("given", ['"other"', "x", 'W/"x"', ""])
def test_a_change_of_something_else_is_refused(clinician, address, personas, given):
    refused = clinician.patch(address, {"sex": "male"}, HTTP_IF_MATCH=given)
    assert refused.status_code == 412
    assert refused.json()["type"] == "/problems/precondition-failed"
    personas.patient.refresh_from_db()
    assert personas.patient.sex == "female"


def test_a_change_that_someone_made_in_between_is_not_lost(clinician, address):
    etag = clinician.get(address)["ETag"]
    clinician.patch(address, {"birth_year": 1950})
    assert clinician.patch(address, {"sex": "male"}, HTTP_IF_MATCH=etag).status_code == 412
    assert Patient.objects.get(label="N-1").birth_year == 1950


def test_a_star_matches_what_is_there(clinician, address):
    assert clinician.patch(address, {"sex": "male"}, HTTP_IF_MATCH="*").status_code == 200


def test_a_condition_on_what_is_hidden_is_404(personas, client_of, address):
    stranger = client_of(personas.stranger)
    assert stranger.patch(address, {"sex": ""}, HTTP_IF_MATCH='"x"').status_code == 404


# Shape


@pytest.fixture
def read(lesion):
    image = LesionImageFactory(lesion=lesion)
    ReviewFactory(image=image)
    return PredictionFactory(image=image, outcome="not_assessable", reason="blurred")


def test_only_the_fields_that_are_asked_for(clinician, address):
    row = clinician.get(PATIENTS, {"fields": "id,label"}).json()["results"][0]
    assert row.keys() == {"id", "label"}
    assert clinician.get(address, {"fields": "sex"}).json() == {"sex": "female"}


def test_a_record_in_place_of_its_identifier(clinician, read):
    query = {"expand": "image,lesion", "fields": "id,image,lesion"}
    row = clinician.get("/api/v1/predictions/", query).json()["results"][0]
    image = f"/api/v1/images/{read.image_id}/"
    assert row["image"] == clinician.get(image).json()
    assert row["lesion"] == clinician.get(f"/api/v1/lesions/{read.image.lesion_id}/").json()
    one = clinician.get(f"/api/v1/predictions/{read.pk}/", query).json()
    assert one == row


def test_an_expansion_costs_the_same_for_many(
    clinician, personas, read, django_assert_max_num_queries
):
    for _ in range(20):
        PredictionFactory(image__lesion__patient=personas.patient)
    # The key, the roles, the rows, the lesions, their identifiers, what settled them; the log.
    with django_assert_max_num_queries(12):
        rows = clinician.get("/api/v1/predictions/", {"expand": "lesion"}).json()["results"]
    assert len(rows) == 21
    assert all(row["lesion"]["patient"] == str(personas.patient.pk) for row in rows)


def test_a_list_of_lesions_loads_no_pictures_of_those_nobody_acted_on(
    clinician, personas, django_assert_max_num_queries
):
    for _ in range(20):
        PredictionFactory(image__lesion__patient=personas.patient)
    # The key, its use, the roles, the lesions, their identifiers; the log.
    with django_assert_max_num_queries(6) as asked:
        rows = clinician.get("/api/v1/lesions/").json()["results"]
    assert [row["settled_by"] for row in rows] == [[]] * 20
    assert not any('"image_logits"' in one["sql"] for one in asked.captured_queries)
    ReviewFactory(image=LesionImage.objects.first())
    with django_assert_max_num_queries(10):
        rows = clinician.get("/api/v1/lesions/").json()["results"]
    assert len(rows) == 20


def test_an_expansion_needs_the_scope_of_what_it_shows(personas, read):
    secret = services.create_api_key(
        user=personas.clinician, name="x", scopes=["predictions:read"]
    )[1]
    client = Program(secret)
    assert client.get("/api/v1/predictions/").status_code == 200
    refused = client.get("/api/v1/predictions/", {"expand": "lesion"})
    assert (refused.status_code, refused.json()["scope"]) == (403, "lesions:read")


@pytest.mark.parametrize("parameter", ["fields", "expand"])
@pytest.mark.parametrize("value", ["x", "id,x", ",", "label,", "__class__"])
def test_a_name_that_is_none(clinician, address, parameter, value):
    for path in (PATIENTS, address):
        response = clinician.get(path, {parameter: value})
        assert response.status_code == 400
        assert set(pointers(response)) == {parameter}


def test_an_unknown_parameter_of_one_record(clinician, address):
    assert set(pointers(clinician.get(address, {"x": 1}))) == {"x"}


# Problem pages


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.slug)
def test_every_type_leads_to_a_page(db, kind):
    page = Browser().get(kind.type)
    assert page.status_code == 200
    text = page.content.decode()
    assert kind.title in text
    assert "What to do" in text
    assert "`" not in text
    assert kind.type in Browser().get("/problems/").content.decode()


def test_a_type_that_is_none(db):
    assert Browser().get("/problems/x").status_code == 404
