"""Searching FHIR resources: by patient, date, identifier and time of change; and paging."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache

from screening.interop.fhir.resources import KINDS, Stored
from screening.models import ExternalIdentifier, Lesion, LesionImage, Patient, Prediction
from tests.api.fhir.conftest import BASE, JSON, check, fetched, resources
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
)

BEFORE_THE_YEAR_1 = urlsafe_b64encode(
    b'["0001-01-01T00:00:00+14:00", "019ab1b2-11c4-7a3e-8d07-5c6e2f9a1b34"]'
).decode()
"""A page that begins at a moment that UTC does not have."""
STORED = [kind for kind, found in KINDS.items() if isinstance(found, Stored)]


def ids(bundle):
    return [one["id"] for one in resources(bundle)]


def refused(client, path, status=400, **headers):
    response = client.get(f"{BASE}/{path}", **headers)
    assert response.status_code == status, response.content
    assert response["Content-Type"] == JSON
    check(response.json())
    return response.json()["issue"][0]


@pytest.mark.parametrize("kind", [kind for kind in STORED if kind != "Patient"])
@pytest.mark.parametrize("form", ["{pk}", "Patient/{pk}", "http://testserver/fhir/R4/Patient/{pk}"])
def test_by_patient(clinician, record, personas, kind, form):
    mine = ids(fetched(clinician, kind))
    other = PatientFactory(clinic=personas.clinic)
    PredictionFactory(image__lesion__patient=other)
    found = fetched(clinician, f"{kind}?patient={form.format(pk=record.patient.pk)}")
    assert sorted(ids(found)) == sorted(mine)
    assert ids(fetched(clinician, f"{kind}?patient={other.pk}"))
    assert not ids(fetched(clinician, f"{kind}?patient=Group/{record.patient.pk}"))
    assert not ids(fetched(clinician, f"{kind}?patient=nobody"))


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("2026-03-01", [1]),
        ("eq2026-03-01", [1]),
        ("ne2026-03-01", [2, 3]),
        ("ge2026-03-02", [2, 3]),
        ("gt2026-03-02", [3]),
        ("le2026-03-02", [1, 2]),
        ("lt2026-03-02", [1]),
        ("sa2026-03-01", [2, 3]),
        ("eb2026-03-02", [1]),
        ("2026-03", [1, 2, 3]),
        ("gt2026-03", []),
        ("ge2026", [1, 2, 3]),
        ("2025", []),
        ("2026-03-01,2026-03-03", [1, 3]),
        ("ge2026-03-02&created=lt2026-03-03", [2]),
        ("2026-03-02T10:00:00Z", [2]),
    ],
)
def test_by_date(clinician, lesion, query, days):
    for day in (1, 2, 3):
        LesionImageFactory(lesion=lesion, captured_on=f"2026-03-0{day}")
    found = resources(fetched(clinician, f"Media?created={query}"))
    assert sorted(int(one["createdDateTime"][-2:]) for one in found) == days


@pytest.mark.parametrize(
    "value",
    ["yesterday", "2026-13", "2026-02-30", "2026-03-01T25:00Z", "10000", "ap2026", "0000"],
)
def test_a_date_that_is_none(clinician, record, value):
    assert refused(clinician, f"Media?created={value}")["severity"] == "error"


def test_by_moment_of_change(clinician, lesion):
    reading = PredictionFactory(image__lesion=lesion)
    moment = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
    Patient.objects.update(modified=moment - timedelta(days=1))
    Lesion.objects.update(modified=moment - timedelta(days=1))
    LesionImage.objects.update(modified=moment - timedelta(days=1))
    Prediction.objects.update(modified=moment)
    (found,) = resources(fetched(clinician, "Observation"))
    told = found["meta"]["lastUpdated"]
    assert told == "2026-03-01T12:00:00.500Z"
    for prefix, hits in (("eq", 1), ("gt", 0), ("ge", 1), ("lt", 0), ("le", 1)):
        bundle = fetched(clinician, f"Observation?_lastUpdated={prefix}{told}")
        assert len(ids(bundle)) == hits, prefix
    later = "2026-03-01T14:30:00%2B02:00"
    assert not ids(fetched(clinician, f"Observation?_lastUpdated=gt{later}"))
    # A symptom that is marked later changes the outcome, so pollers must see it.
    Lesion.objects.update(bleeding=True, modified=moment + timedelta(days=1))
    for kind in ("Observation", "RiskAssessment", "DiagnosticReport"):
        assert ids(fetched(clinician, f"{kind}?_lastUpdated=gt{later}"))
    assert found["id"] == str(reading.pk)


def test_a_new_reading_changes_the_report(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    Patient.objects.update(modified=moment)
    Lesion.objects.update(modified=moment)
    type(image).objects.update(modified=moment)
    assert not ids(fetched(clinician, "DiagnosticReport?_lastUpdated=gt2026-03-01"))
    ReviewFactory(image=image)
    assert ids(fetched(clinician, "DiagnosticReport?_lastUpdated=gt2026-03-01"))


def test_by_identifier(clinician, record):
    patient = fetched(clinician, f"Patient/{record.patient.pk}")
    own, label = patient["identifier"]
    for value in (
        label["value"],
        f"{label['system']}|{label['value']}",
        f"{own['system']}|{own['value']}",
        own["value"],
    ):
        assert ids(fetched(clinician, f"Patient?identifier={value}")) == [patient["id"]], value
    for value in ("N-2", f"{label['system']}|N-2", f"urn:x|{label['value']}", "|", "urn:uuid:x"):
        assert not ids(fetched(clinician, f"Patient?identifier={value}")), value
    for kind in (kind for kind in STORED if kind != "Provenance"):
        for one in resources(fetched(clinician, kind)):
            value = f"urn:ietf:rfc:3986|urn:uuid:{one['id']}"
            assert ids(fetched(clinician, f"{kind}?identifier={value}")) == [one["id"]]


def test_by_another_systems_identifier(clinician, record, personas):
    image = record.reviewed.image
    for kind, row in (("patient", record.patient), ("lesion", record.lesion), ("image", image)):
        for system in ("urn:ris", "Our old files"):
            ExternalIdentifier.objects.create(
                clinic=personas.clinic, kind=kind, system=system, value="4711", **{kind: row}
            )
    for kind, row in (("Patient", record.patient), ("BodyStructure", record.lesion)):
        for value in ("urn:ris|4711", "4711", "Our old files|4711"):
            (found,) = resources(fetched(clinician, f"{kind}?identifier={value}"))
            assert found["id"] == str(row.pk)
        assert {"system": "urn:ris", "value": "4711"} in found["identifier"]
        assert {"value": "4711", "assigner": {"display": "Our old files"}} in found["identifier"]
        assert not ids(fetched(clinician, f"{kind}?identifier=urn:other|4711"))
    assert ids(fetched(clinician, "Media?identifier=urn:ris|4711")) == [str(image.pk)]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("Observation?status=final", 4),
        ("Observation?status=preliminary,registered", 4),
        ("Observation?status=preliminary&code=model-reading", 3),
        ("Observation?code=clinician-conclusion", 2),
        ("Observation?code=histology&status=preliminary", 0),
        ("Observation?code=wart", 0),
        ("Observation?date=2026-03-20", 2),
        ("Observation?focus=BodyStructure/{lesion}", 6),
        ("Observation?derived-from=Media/{image}", 2),
        ("Observation?subject:Patient={patient}&_id={reading}", 1),
        ("Provenance?target=Observation/{reading}", 1),
        ("Provenance?target=Media/{reading}", 0),
        ("Provenance?recorded=gt2020", 3),
        ("Patient?gender=female", 1),
        ("Patient?gender=unknown", 0),
        ("DiagnosticReport?date=2026-03-01&_id={lesion}", 1),
        ("RiskAssessment?date=lt2026", 1),
        ("CodeSystem?url=http://127.0.0.1:8000/fhir/R4/CodeSystem/outcome", 1),
        ("ConceptMap?_id=ham10000-class", 1),
        ("ConceptMap?_id=none", 0),
    ],
)
def test_by_what_else_there_is(clinician, record, query, count):
    names = {
        "lesion": record.lesion.pk,
        "image": record.reviewed.image_id,
        "patient": record.patient.pk,
        "reading": record.reviewed.pk,
    }
    assert len(ids(fetched(clinician, query.format(**names)))) == count


def test_what_is_not_known_is_ignored_and_said(clinician, record):
    for handling in ({}, {"HTTP_PREFER": "handling=lenient"}):
        found = fetched(clinician, "Patient?hair=red&gender=female", **handling)
        assert ids(found) == [str(record.patient.pk)]
        assert found["link"] == [
            {"relation": "self", "url": f"http://testserver{BASE}/Patient?gender=female"}
        ]
        warning = found["entry"][-1]
        assert warning["search"] == {"mode": "outcome"}
        assert "hair" in warning["resource"]["issue"][0]["diagnostics"]


@pytest.mark.parametrize("query", ["hair=red", "_sort=name", "_include=x", "_summary=brief"])
def test_strict_refuses_what_is_not_known(clinician, record, query):
    prefer = "return=minimal, handling=strict"
    issue = refused(clinician, f"Patient?{query}", HTTP_PREFER=prefer)
    assert issue["code"] == "not-supported"
    assert query.partition("=")[0] in issue["diagnostics"]


@pytest.mark.parametrize(
    "query",
    [
        "_count=many",
        "_count=-1",
        "_count=%C2%B2",
        "_page=x",
        "_page=%00",
        "_page=MjAyNi0wMy0wMSB4",
        f"_page={BEFORE_THE_YEAR_1}",
        "patient:Group=1",
        "_id:not=1",
        "patient=",
        "identifier=a%00b",
    ],
)
def test_a_wrong_value_is_refused(clinician, record, query):
    kind = "Media" if "patient" in query else "Patient"
    refused(clinician, f"{kind}?{query}")


@pytest.mark.parametrize("kind", ["Patient", "Device", "ValueSet"])
@pytest.mark.parametrize("page", ["", "AAAA", "%00", "W10="])
def test_an_unknown_page_is_refused(clinician, record, kind, page):
    assert "_page" in refused(clinician, f"{kind}?_page={page}")["diagnostics"]


@pytest.mark.parametrize(
    "query",
    [
        "&".join(["identifier=a|b"] * 21),
        f"_id={','.join(['x'] * 501)}",
        "&".join([f"_lastUpdated={','.join(['2026'] * 100)}"] * 6),
    ],
)
def test_a_search_is_no_larger_than_the_database_takes(clinician, record, query):
    assert refused(clinician, f"Patient?{query}")["code"] == "too-costly"


def test_many_are_found_by_their_ids(clinician, record, personas):
    among = ",".join([str(record.patient.pk), *(str(uuid4()) for _ in range(499))])
    assert ids(fetched(clinician, f"Patient?_id={among}")) == [str(record.patient.pk)]
    days = ",".join(["2026-01-01"] * 500)
    assert resources(fetched(clinician, f"Media?created={days}")) == []
    ExternalIdentifier.objects.create(
        clinic=personas.clinic, kind="patient", system="urn:ris", value="1", patient=record.patient
    )
    twenty = "&".join(["identifier=urn:ris|1"] * 20)
    assert ids(fetched(clinician, f"Patient?{twenty}")) == [str(record.patient.pk)]


def test_pages_lead_on_and_miss_nothing(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    readings = [PredictionFactory(image=image, model_version=f"v{n}") for n in range(5)]
    reviews = [ReviewFactory(image=image) for _ in range(4)]
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    for row in (*readings[:3], *reviews[:2]):  # at the same time: the id decides
        type(row).objects.filter(pk=row.pk).update(created=moment)
    address, pages = f"{BASE}/Observation?_count=2&patient={lesion.patient_id}", []
    while address:
        bundle = clinician.get(address).json()
        check(bundle)
        pages.append(ids(bundle))
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert "_page" not in links["self"]
        address = links.get("next", "").removeprefix("http://testserver")
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    found = [one for page in pages for one in page]
    assert sorted(found) == sorted(str(row.pk) for row in (*readings, *reviews))


def test_how_many_there_are_is_told_where_asked(clinician, record):
    assert "total" not in fetched(clinician, "Observation")
    assert fetched(clinician, "Observation?_total=accurate&_count=1")["total"] == 9
    for query in ("_summary=count", "_count=0"):
        counted = fetched(clinician, f"Observation?{query}")
        assert counted["total"] == 9
        assert "entry" not in counted
    assert fetched(clinician, "CodeSystem?_count=0")["total"] == 4


def test_a_page_is_never_larger_than_200(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    ReviewFactory.create_batch(201, image=image, reviewer=image.uploaded_by)
    found = fetched(clinician, "Observation?_count=100000")
    assert len(ids(found)) == 200
    assert found["link"][1]["relation"] == "next"


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_queries_for_many_rows_as_for_few(
    clinician, record, kind, django_assert_max_num_queries
):
    clinician.get(f"{BASE}/{kind}")
    with django_assert_max_num_queries(15) as few:
        clinician.get(f"{BASE}/{kind}")
    for _ in range(3):
        lesion = LesionFactory(patient=record.patient)
        image = LesionImageFactory(lesion=lesion)
        PredictionFactory(image=image)
        ReviewFactory(image=image)
    cache.clear()
    with django_assert_max_num_queries(15) as many:
        clinician.get(f"{BASE}/{kind}")
    assert len(many) == len(few) > 0
