"""Lists: filters, pages, and queries that do not grow with the rows."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import resolve

from screening.api import openapi
from screening.models import Patient, Prediction
from tests.api.conftest import pointers
from tests.factories import (
    AlertFactory,
    ChangeMarkFactory,
    ComparisonFactory,
    HistologyFactory,
    ImageScaleFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    MeasurementFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
)

API = "/api/v1/"
# The key, the rows, their identifiers, and the roles of the user where findings may be withheld;
# images: their predictions and their reviews. One adds to the audit log, but of clinics alone.
BUDGETS = {
    "clinics": 2,
    "patients": 4,
    "lesions": 10,  # and what settled them: images, readings, reviews, histologies, visits
    "images": 7,
    "predictions": 4,
    "reviews": 4,
    "histologies": 4,
    "worklist": 6,  # put in order by a query of plain rows
    "positions": 3,
    "measurements": 5,  # and their images
    "scales": 3,
    "outlines": 3,
    "comparisons": 10,  # and both images with their measurements and outlines
    "change-marks": 4,
    "alerts": 6,  # and what closed them: reviews, histologies
}


def found(client, path, **query):
    response = client.get(f"{API}{path}/", query)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


def records(patient, count):
    """Lesions with two images each, compared and marked, an alert, and on every image a reading, a
    review, an outline, a scale and two measurements."""
    for _ in range(count):
        lesion = LesionFactory(patient=patient)
        LesionPositionFactory(lesion=lesion)
        comparison = ComparisonFactory(later__lesion=lesion)
        ChangeMarkFactory(comparison=comparison)
        AlertFactory(earlier=comparison.earlier, later=comparison.later)
        for image in (comparison.earlier, comparison.later):
            reading = PredictionFactory(image=image, outcome="not_assessable", reason="blurred")
            ReviewFactory(image=image)
            ImageScaleFactory(image=image)
            MeasurementFactory(image=image, prediction=reading)
            MeasurementFactory(image=image, by_hand=True)
        HistologyFactory(lesion=lesion)
        LesionImageFactory(lesion=lesion, captured_on=date(2026, 5, 1))  # not reviewed


@pytest.mark.parametrize("path", BUDGETS)
@pytest.mark.parametrize("count", [1, 6])
def test_queries_are_constant(personas, clinician, django_assert_num_queries, path, count):
    records(personas.patient, count)
    PatientFactory.create_batch(count, clinic=personas.clinic)
    clinician.get(f"{API}{path}/")  # updates the key's last use
    with django_assert_num_queries(BUDGETS[path]):
        rows = clinician.get(f"{API}{path}/").json()["results"]
    if path != "clinics":
        assert len(rows) >= count


def test_only_what_is_visible_is_listed(personas, client_of):
    records(personas.patient, 1)
    for client in (client_of(personas.colleague), client_of(personas.stranger)):
        for path in set(BUDGETS) - {"clinics"}:
            assert found(client, path) == []


def test_patients_by_clinic_and_label(personas, clinician):
    other = PatientFactory(clinic=personas.clinic, label="Z-9")
    own = PatientFactory(own=True, owner=personas.clinician, label="Me")
    assert found(clinician, "patients", search="z-9") == [str(other.pk)]
    by_clinic = found(clinician, "patients", clinic=personas.clinic.pk)
    assert set(by_clinic) == {str(other.pk), str(personas.patient.pk)}
    assert str(own.pk) in found(clinician, "patients")


def test_lesions_by_patient_and_site(personas, clinician):
    back = LesionFactory(patient=personas.patient, body_site="back")
    arm = LesionFactory(
        patient=PatientFactory(clinic=personas.clinic), body_site="upper extremity", notes="dark"
    )
    assert found(clinician, "lesions", patient=personas.patient.pk) == [str(back.pk)]
    assert found(clinician, "lesions", body_site="upper extremity") == [str(arm.pk)]
    assert found(clinician, "lesions", search="dark") == [str(arm.pk)]


def test_images_by_all_they_hang_on(personas, clinician, lesion):
    early = LesionImageFactory(lesion=lesion, captured_on=date(2025, 1, 1))
    late = LesionImageFactory(lesion=lesion, captured_on=date(2026, 1, 1), modality="clinical")
    assert found(clinician, "images", lesion=lesion.pk) == [str(late.pk), str(early.pk)]
    assert len(found(clinician, "images", patient=personas.patient.pk)) == 2
    assert found(clinician, "images", modality="clinical") == [str(late.pk)]
    assert found(clinician, "images", captured_on_after="2025-01-02") == [str(late.pk)]
    assert found(clinician, "images", captured_on_before="2025-01-01") == [str(early.pk)]
    assert found(clinician, "images", patient=personas.own_patient.pk) == []


def test_predictions_by_state_and_time(clinician, lesion):
    image = LesionImageFactory(lesion=lesion)
    waiting = PredictionFactory(
        image=image, queued=True, created=datetime(2026, 3, 1, 12, tzinfo=UTC)
    )
    failed = PredictionFactory(
        image=image, failed=True, created=datetime(2026, 3, 2, 12, tzinfo=UTC)
    )
    assert found(clinician, "predictions", image=image.pk) == [str(failed.pk), str(waiting.pk)]
    assert len(found(clinician, "predictions", lesion=lesion.pk)) == 2
    assert found(clinician, "predictions", state="queued") == [str(waiting.pk)]
    after = found(clinician, "predictions", created_after="2026-03-02T00:00:00Z")
    assert after == [str(failed.pk)]
    assert found(clinician, "predictions", created_before="2026-03-02") == [str(waiting.pk)]


def test_predictions_by_what_is_told(personas, clinician):
    """The filter is ``outcome_told`` in SQL: both must agree on every row."""
    for symptom in (None, "raised", "bleeding", "itching", "changing"):
        lesion = LesionFactory(patient=personas.patient, **({symptom: True} if symptom else {}))
        for outcome in ("urgent", "see_doctor", "monitor", "not_assessable"):
            PredictionFactory(image__lesion=lesion, outcome=outcome)
    for born in (None, 2027, 2026, 2010, 2009, 1900):  # the pictures are of 2026
        lesion = LesionFactory(patient=PatientFactory(own=True, birth_year=1960))
        Patient.objects.filter(pk=lesion.patient_id).update(birth_year=born)
        PredictionFactory(image__lesion=lesion, outcome="monitor")
    everything = list(Prediction.objects.select_related("image__lesion__patient"))
    assert len(everything) == 26
    for outcome, rows in (("urgent", 5), ("see_doctor", 15), ("monitor", 5), ("not_assessable", 1)):
        told = {p.pk for p in everything if p.outcome_told == outcome}
        assert {p.pk for p in Prediction.objects.told(outcome)} == told
        assert len(told) == rows


def test_predictions_by_whether_they_count(clinician, lesion):
    before = PredictionFactory(image__lesion=lesion, outcome="urgent")
    now = PredictionFactory(image=before.image)
    other = PredictionFactory(image=before.image, model_version="2020.1")
    waiting = PredictionFactory(image__lesion=lesion, queued=True)
    assert found(clinician, "predictions", counts="true") == [str(now.pk)]
    beside = {str(one.pk) for one in (before, other, waiting)}
    assert set(found(clinician, "predictions", counts="false")) == beside
    assert clinician.get("/api/v1/predictions/", {"counts": "yes"}).status_code == 400
    text = clinician.get("/api/v1/predictions/export/").getvalue().decode()
    rows = {row["prediction"]: row for row in csv.DictReader(io.StringIO(text))}
    assert {pk: row["counts"] for pk, row in rows.items()} == {
        str(one.pk): str(one is now) for one in (before, now, other, waiting)
    }
    before.refresh_from_db()
    assert rows[str(before.pk)]["told_until"] == before.told_until.isoformat()
    assert [row["told_until"] for pk, row in rows.items() if pk != str(before.pk)] == ["", "", ""]
    text = clinician.get("/api/v1/predictions/export/", {"counts": "true"}).getvalue().decode()
    assert [row["prediction"] for row in csv.DictReader(io.StringIO(text))] == [str(now.pk)]


def test_the_outcome_filter_uses_what_is_told(clinician, lesion):
    blurred = PredictionFactory(image__lesion=lesion, outcome="not_assessable", reason="blurred")
    PredictionFactory(image__lesion=lesion, queued=True)
    assert found(clinician, "predictions", outcome="not_assessable") == [str(blurred.pk)]
    assert found(clinician, "predictions", outcome="urgent") == []


def test_reviews_by_conclusion(clinician, lesion):
    review = ReviewFactory(image__lesion=lesion, conclusion="mel", management="excise")
    assert found(clinician, "reviews", lesion=lesion.pk, conclusion="mel") == [str(review.pk)]
    assert found(clinician, "reviews", image=review.image_id, conclusion="nv") == []


@pytest.mark.parametrize(
    ("path", "parameter", "value"),
    [
        ("patients", "clinic", "north"),
        ("patients", "search", "a\0b"),
        ("patients", "colour", "red"),
        ("patients", "clinic", ""),
        ("patients", "page_size", "0"),
        ("patients", "page_size", "201"),
        ("patients", "page_size", "9" * 5000),
        ("patients", "page_size", "²"),
        ("patients", "cursor", "x"),
        ("patients", "cursor", "AAAA"),
        ("patients", "cursor", "\0"),
        ("patients", "cursor", "%00"),
        ("patients", "cursor", "cD0="),
        ("patients", "cursor", "cD1ub25zZW5zZQ=="),
        ("patients", "cursor", "cD0yMDI2LTAzLTk5"),
        ("patients", "cursor", "cD0wMDAxLTAxLTAxVDAwJTNBMDAlM0EwMCUyQjE0JTNBMDA="),
        ("patients", "cursor", "cD05OTk5LTEyLTMxVDIzJTNBNTklM0E1OS0xNCUzQTAw"),
        ("clinics", "search", "x"),
        ("lesions", "body_site", "moon"),
        ("lesions", "patient", "1"),
        ("images", "modality", "x-ray"),
        ("images", "captured_on_after", "03/01/2026"),
        ("images", "captured_on_before", "2026-02-30"),
        ("predictions", "state", "done"),
        ("predictions", "outcome", "healthy"),
        ("predictions", "created_after", "yesterday"),
        ("predictions", "created_after", "0001-01-01T00:00:00+14:00"),
        ("predictions", "created_before", "9999-12-31T23:59:59-14:00"),
        ("reviews", "conclusion", "fine"),
        ("reviews", "standing", "perhaps"),
        ("histologies", "diagnosis", "uncertain"),
        ("worklist", "reason", "boredom"),
        ("worklist", "reviewed", "yes"),
        ("worklist", "arrived_from", "yesterday"),
        ("worklist", "page", "9"),
        ("worklist", "page_size", "0"),
        ("worklist", "cursor", "x"),
        ("positions", "lesion", "left arm"),
        ("positions", "view", "front"),
        ("measurements", "image", "1"),
        ("scales", "source", "ruler"),
        ("outlines", "lesion", "x"),
        ("comparisons", "aligned", "perhaps"),
        ("change-marks", "verdict", "maybe"),
        ("alerts", "rule", "magic"),
        ("alerts", "is_open", "perhaps"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(clinician, path, parameter, value):
    response = clinician.get(f"{API}{path}/", {parameter: value})
    assert response.status_code == 400
    assert set(pointers(response)) == {parameter}


def test_a_parameter_given_twice_is_refused(clinician):
    response = clinician.get(f"{API}predictions/?state=queued&state=failed")
    assert pointers(response) == {"state": "Give this parameter once."}


def test_every_row_is_on_one_page_even_if_made_at_the_same_moment(personas, clinician):
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    made = PatientFactory.create_batch(7, clinic=personas.clinic, created=moment)
    seen, url = [], f"{API}patients/?page_size=3&search=P-"
    while url:
        page = clinician.get(url).json()
        assert len(page["results"]) <= 3
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == sorted((str(patient.pk) for patient in made), reverse=True)


def test_one_can_page_back(personas, clinician):
    PatientFactory.create_batch(4, clinic=personas.clinic)
    first = clinician.get(f"{API}patients/?page_size=2").json()
    second = clinician.get(first["next"]).json()
    assert clinician.get(second["previous"]).json()["results"] == first["results"]


def test_a_page_has_50_rows_unless_told_otherwise(personas, clinician):
    PatientFactory.create_batch(60, clinic=personas.clinic)
    assert len(found(clinician, "patients")) == 50
    assert len(found(clinician, "patients", page_size=200)) == 61


# They are computed as they stand (worklist), have no moment of change (clinics), or are themselves
# what happened (events).
WITHOUT_MODIFIED = {"clinics", "events", "worklist"}


def test_every_list_tells_what_changed(clinician, personas):
    """By the OpenAPI document; then a row of yesterday, one of today, and a bound between them."""
    records(personas.patient, 1)
    between = datetime.now(UTC) - timedelta(hours=1)
    walked = set()
    for path, methods in openapi.document()["paths"].items():
        operation = methods.get("get", {})
        names = {one["name"] for one in operation.get("parameters", [])}
        if not {"cursor", "page"} & names or "{" in path:  # the log of one record
            continue
        what = path.split("/")[3]
        assert ("modified_after" in names) == (what not in WITHOUT_MODIFIED), path
        if what in WITHOUT_MODIFIED:
            continue
        walked.add(what)
        view = resolve(path).func.cls
        rows = view.queryset.model._default_manager.order_by("pk")
        rows.update(modified=between - timedelta(days=1))
        assert found(clinician, what, modified_after=between.isoformat()) == []
        if what in BUDGETS:
            one = found(clinician, what)[0]
            rows.filter(pk=one).update(modified=between)
            assert found(clinician, what, modified_after=between.isoformat()) == [one], what
    assert walked >= BUDGETS.keys() - WITHOUT_MODIFIED
