"""Every error is problem+json, says what to do, and reveals no internals."""

from __future__ import annotations

import json
import logging
import uuid
from pathlib import Path

import pytest
from django.db import IntegrityError

from accounts import services
from screening.api.http.problems import ALL
from screening.api.http.throttling import CallerThrottle
from screening.records import services as record_services
from tests.api.conftest import pointers
from tests.clients import Browser, Program
from tests.factories import PASSWORD

PATIENTS = "/api/v1/patients/"


def problem(response, status, kind):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"/problems/{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


def send(client, path, body):
    """POST what the test client's own encoder would not produce."""
    return client.generic("POST", path, json.dumps(body), content_type="application/json")


def test_without_a_key(db):
    response = Program().get(PATIENTS)
    assert problem(response, 401, "not-authenticated")["instance"] == PATIENTS
    assert response["WWW-Authenticate"] == 'Bearer realm="SkinCheck API"'


@pytest.mark.parametrize("secret", ["sk_unknown", "", "é", "a b", "\0"])
def test_with_a_key_that_opens_nothing(db, secret):
    client = Program(secret)
    problem(client.get(PATIENTS), 401, "not-authenticated")


def test_with_a_revoked_key(personas, client_of):
    client = client_of(personas.clinician)
    assert client.get(PATIENTS).status_code == 200
    services.revoke_api_key(user=personas.clinician, key=personas.clinician.api_keys.get())
    problem(client.get(PATIENTS), 401, "not-authenticated")


def test_with_the_key_of_someone_who_left(personas, client_of):
    client = client_of(personas.clinician)
    personas.clinician.is_active = False
    personas.clinician.save()
    problem(client.get(PATIENTS), 401, "not-authenticated")


def test_a_session_reads_but_writes_only_with_its_token(personas):
    client = Browser()
    assert client.login(email=personas.clinician.email, password=PASSWORD)
    assert client.get(PATIENTS).status_code == 200
    response = client.post(
        PATIENTS, {"label": "X"}, content_type="application/json", HTTP_X_CSRFTOKEN=""
    )
    assert "CSRF" in problem(response, 403, "permission-denied")["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1/",
        "/api/v2/patients/",
        "/api/v1/patients",
        "/api/v1/patients/1/",
        "/api/v1/patients/../",
        "/api/v1/nothing/%00/",
        "/api/v1/patients/a%0Ab/",
        "/dicomweb/studies/a%0Ab/",
    ],
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_address_that_is_none(db, path, method):
    client = Browser()
    problem(getattr(client, method)(path), 404, "not-found")


@pytest.mark.parametrize("header", ["", "Basic YTpi", "sk_bare"])
def test_without_credentials_it_says_what_to_send(db, header):
    answer = Program().get(PATIENTS, **({"HTTP_AUTHORIZATION": header} if header else {}))
    assert "Authorization: Bearer" in problem(answer, 401, "not-authenticated")["detail"]


def test_an_empty_accept_takes_anything(clinician):
    assert clinician.get(PATIENTS, HTTP_ACCEPT="").status_code == 200


def test_a_record_that_is_none(clinician):
    response = clinician.get(f"{PATIENTS}{uuid.uuid4()}/")
    assert "Patient" not in problem(response, 404, "not-found")["detail"]


@pytest.mark.parametrize("method", ["put", "delete", "options", "trace"])
def test_a_method_that_is_none(clinician, method):
    response = clinician.generic(method.upper(), PATIENTS)
    problem(response, 405, "method-not-allowed")
    assert set(response["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_a_format_that_is_none(clinician):
    response = clinician.get(PATIENTS, HTTP_ACCEPT="application/xml")
    problem(response, 406, "not-acceptable")


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data"])
def test_a_body_in_another_format(clinician, content_type):
    response = clinician.generic("POST", PATIENTS, b"label=X", content_type=content_type)
    told = problem(response, 415, "unsupported-media-type")
    assert told["detail"] == "Send application/json here."


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"label": NaN}',
        b'{"birth_year": ' + b"9" * 5000 + b"}",
        b"",
    ],
)
def test_a_body_that_is_no_json(clinician, body):
    response = clinician.generic("POST", PATIENTS, body, content_type="application/json")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_a_body_nested_beyond_reason_is_too_large(clinician):
    response = clinician.generic("POST", PATIENTS, b"[" * 60_000, content_type="application/json")
    assert response.status_code == 413
    assert response["Content-Type"] == "application/problem+json"


def test_a_charset_that_is_none(clinician):
    response = clinician.generic(
        "POST", PATIENTS, b"{}", content_type="application/json; charset=bz2"
    )
    problem(response, 400, "malformed")


def test_a_body_that_is_too_large(clinician, settings):
    body = {"label": "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE}
    problem(send(clinician, PATIENTS, body), 413, "too-large")


@pytest.mark.parametrize("body", [[], "x", 5, None, True, [{"label": "X"}]])
def test_a_body_that_is_no_object(clinician, body):
    response = send(clinician, PATIENTS, body)
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


WRONG = [
    None,
    True,
    1.5,
    -1,
    10**30,
    "",
    "\0",
    "a\0b",
    "\ud800",
    "x" * 10_000,
    [],
    {},
    [1],
    {"a": 1},
]


@pytest.mark.parametrize("field", ["label", "birth_year", "sex", "skin_type", "clinic"])
@pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
def test_wrong_values_are_named_and_never_crash(clinician, field, value):
    response = send(clinician, PATIENTS, {"label": "X", field: value})
    if value == "\ud800":
        problem(response, 400, "malformed")
        return
    if response.status_code != 201:
        assert response.status_code == 400
        assert set(pointers(response)) <= {f"/{field}", ""}
    else:  # values that these fields may contain
        assert value in ("", None) or (field == "label" and value in (1.5, -1, 10**30))


@pytest.mark.parametrize("field", ["label", "body_site", "notes", "raised", "patient"])
@pytest.mark.parametrize("value", WRONG, ids=range(len(WRONG)))
def test_wrong_values_of_a_lesion(personas, clinician, field, value):
    body = {"patient": str(personas.patient.pk), field: value}
    response = send(clinician, "/api/v1/lesions/", body)
    assert response.status_code in (201, 400)
    if response.status_code == 400 and value != "\ud800":
        assert set(pointers(response)) <= {f"/{field}", ""}


LESIONS, WEBHOOKS = "/api/v1/lesions/", "/api/v1/webhooks/"


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("path", "field", "value", "detail"),
    [
        (PATIENTS, "label", 7, "Give a string."),
        (PATIENTS, "sex", 0, "Give a string."),
        (PATIENTS, "clinic", 5, "Give a string."),
        (PATIENTS, "clinic", "", "Give an identifier."),
        (PATIENTS, "birth_year", "1961", "Give a number."),
        (PATIENTS, "birth_year", True, "Give a number."),
        (LESIONS, "changing", 0, "Give true or false."),
        (LESIONS, "changing", "yes", "Give true or false."),
        ("/api/v1/histologies/", "breslow_mm", 0.4, "Give a string."),
        ("/api/v1/histologies/", "examined_on", 20260312, "Give a string."),
        ("/api/v1/reminders/", "interval_months", "3", "Give a number."),
        ("/api/v1/positions/", "x", "0.5", "Give a number."),
    ],
)
def test_json_of_another_type(clinician, path, field, value, detail):
    assert pointers(send(clinician, path, {field: value}))[f"/{field}"] == detail


def test_json_of_another_type_in_lists_and_parts(clinician):
    found = pointers(send(clinician, WEBHOOKS, {"events": ["prediction.finished", 1]}))
    assert found["/events/1"] == "Give a string."
    body = {"label": "X", "identifiers": [{"system": "https://x.example.org", "value": 4}]}
    assert set(pointers(send(clinician, PATIENTS, body)).values()) == {"Give a string."}


def test_a_part_is_given_whole_in_a_patch_too(personas, clinician):
    body = json.dumps({"identifiers": [{"system": "https://practice.example.org/patients"}]})
    path = f"{PATIENTS}{personas.patient.pk}/"
    response = clinician.generic("PATCH", path, body, content_type="application/json")
    problem(response, 400, "validation")
    assert "This field is required." in pointers(response).values()


def test_several_errors_are_all_told(clinician):
    response = clinician.post(PATIENTS, {"birth_year": "x", "sex": "?"})
    assert set(pointers(response)) == {"/label", "/birth_year", "/sex"}
    assert problem(response, 400, "validation")["detail"] == "There are 3 errors."


def test_a_rule_of_the_write_path_points_to_its_field(clinician):
    response = clinician.post(PATIENTS, {"label": "X", "birth_year": 1066})
    assert "120 years at most" in next(iter(pointers(response).values()))


def test_a_pointer_is_escaped(clinician):
    response = clinician.post(PATIENTS, {"label": "X", "a/b~c": 1})
    assert set(pointers(response)) == {"/a~1b~0c"}


def test_too_many_requests(clinician, monkeypatch):
    monkeypatch.setattr(CallerThrottle, "get_rate", lambda self: "2/min")
    assert [clinician.get(PATIENTS).status_code for _ in range(2)] == [200, 200]
    response = clinician.get(PATIENTS)
    problem(response, 429, "too-many-requests")
    assert 1 <= int(response["Retry-After"]) <= 60


def test_a_bug_is_logged_and_says_nothing_of_itself(clinician, monkeypatch, caplog):
    def broken(**_: object) -> None:
        raise RuntimeError("inner secret")

    monkeypatch.setattr(record_services, "register_patient", broken)
    clinician.raise_request_exception = False
    with caplog.at_level(logging.ERROR, "django.request"):
        response = clinician.post(PATIENTS, {"label": "X"})
    problem(response, 500, "server-error")
    assert b"secret" not in response.content
    assert "inner secret" in caplog.text


def test_a_second_writer_gets_a_conflict(clinician, monkeypatch):
    def beaten(**_: object) -> None:
        raise IntegrityError("UNIQUE constraint failed: screening_patient.label")

    monkeypatch.setattr(record_services, "register_patient", beaten)
    response = clinician.post(PATIENTS, {"label": "X"})
    problem(response, 409, "conflict")
    assert b"UNIQUE" not in response.content


def test_a_host_that_is_not_ours(db):
    response = Browser().get(PATIENTS, HTTP_HOST="elsewhere.example.org")
    problem(response, 400, "malformed")


def test_every_kind_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    for kind in ALL:
        assert f"| `{kind.type}` | {kind.status} |" in text
