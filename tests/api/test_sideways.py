"""Scopes are separate: data of another resource inside a record needs that resource's scope.

Each resource is marked with unique values. Everything readable over the API is read, once with only
the scope of its URL and once with all scopes: marks of other resources may appear only with all.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import reverse

from accounts import scopes, services
from accounts.models import Clinic
from screening.measurements.queries import outlines_of
from screening.models import (
    Alert,
    BatchRow,
    ChangeMark,
    Comparison,
    Histology,
    ImageScale,
    Lesion,
    LesionImage,
    LesionPosition,
    Measurement,
    Patient,
    Prediction,
    Reminder,
    Review,
)
from tests.access import MATRIX, World
from tests.clients import Program
from tests.conftest import Personas
from tests.factories import MeasurementFactory, measures
from tests.test_access_matrix import ADDRESSES, world_of

pytestmark = pytest.mark.any_database

# An identifier or a token may hold any digits, so a whole number is sought as JSON writes it, and
# what a time holds ("43.210716") is not the mark "3.21".
BIRTH_YEAR = '"birth_year":1937'
# A value of each resource that no other row has, as written in JSON, CSV and DICOM.
MARKS: dict[str, tuple[str, ...]] = {
    "clinics": ("Marked clinic",),
    "patients": ("Marked patient", BIRTH_YEAR, "female", "089Y"),
    "lesions": ("Marked lesion", "Marked notes", "scalp", "Scalp"),
    "images": ("Marked camera",),
    "predictions": ("marked-model", "0.4367", "urgent"),
    "reviews": ("Marked conclusion",),
    "histologies": ("Marked histology", "3.21"),
    "measurements": ("7773.25",),
    "alerts": ("Marked reason", "0.0123"),
    "change-marks": ("Marked change",),
    "positions": ("0.4567",),
    "scales": ("0.0789",),
}

# Documents that combine all data of a person or a clinic, each with a separate scope, as
# docs/api.md says. A batch reports its own manifest's values.
WHOLE = {"worklist", "reports", "fhir", "agreement", "exports"}


@pytest.fixture
def world(personas: Personas) -> World:
    """The clinic's records, with every resource marked."""
    world = world_of(personas, "clinician")
    comparison = world.comparison
    MeasurementFactory(image=comparison.earlier)
    within = outlines_of(comparison.earlier, comparison.later)
    Comparison.objects.filter(pk=comparison.pk).update(outlines=within)
    Clinic.objects.update(name="Marked clinic")
    Patient.objects.filter(pk=world.patient.pk).update(
        label="Marked patient", birth_year=1937, sex="female"
    )
    Lesion.objects.filter(pk=world.lesion.pk).update(
        label="Marked lesion", notes="Marked notes", body_site="scalp"
    )
    LesionImage.objects.update(camera_model="Marked camera")
    Prediction.objects.update(
        model_version="marked-model",
        outcome="urgent",
        reason="",
        p_malignant=0.4367,
        context={"age": 89.0, "sex": "female", "localization": "scalp"},
    )
    Review.objects.update(note="Marked conclusion")
    Histology.objects.update(note="Marked histology", diagnosis="mel", breslow_mm="3.21")
    Measurement.objects.update(values=measures(area_px=7773.25))
    Alert.objects.update(
        rule="risk_rise",
        before={"p_malignant": 0.0123},
        after={"p_malignant": 0.2},
        close_reason="Marked reason",
        closed_at=world.lesion.created,
        closed_by=personas.assistant,
    )
    ChangeMark.objects.update(note="Marked change")
    LesionPosition.objects.update(x=0.4567)
    ImageScale.objects.update(mm_per_pixel=0.0789)
    Reminder.objects.update(due_on=date(2026, 1, 5))
    BatchRow.objects.create(
        batch=world.batch,
        number=2,
        picture="mole.jpg",
        state="imported",
        image=world.image,
        prediction=world.prediction,
        source={"age": "89", "sex": "female", "diagnosis": "Marked histology"},
    )
    return world


def is_in(shown: str, mark: str) -> bool:
    return bool(re.search(rf"(?<!\d){re.escape(mark)}(?!\d)", shown))


def read_alone() -> list[tuple[str, str]]:
    """(name, resource) of every URL that is read by GET and needs a scope."""
    found = []
    for name, _, view in ADDRESSES:
        resource = getattr(getattr(view, "cls", None), "scope_resource", "")
        if resource and "GET" in MATRIX[name].methods:
            found.append((name, resource))
    return found


def body_of(program: Program, name: str, world: World) -> str:
    cache.clear()
    response = program.get(reverse(name, args=MATRIX[name].args(world)))
    assert response.status_code == 200, (name, response.status_code)
    return (response.getvalue() if response.streaming else response.content).decode("latin-1")


def bearer(personas: Personas, held: Any) -> Program:
    """A client of the admin, who sees everything."""
    return Program(services.create_api_key(user=personas.admin, name="x", scopes=held)[1])


def test_the_walk_finds_the_api():
    names = {name for name, _ in read_alone()}
    assert len(names) > 40
    assert {"api:image-isic", "api:prediction-export", "api:batch-results"} <= names


@pytest.mark.parametrize(("name", "resource"), read_alone())
def test_a_scope_alone_shows_its_own(name, resource, world, personas):
    if resource in WHOLE:
        pytest.skip("is a whole document: its scope says so")
    shown = body_of(bearer(personas, [f"{resource}:read"]), name, world)
    foreign = {
        mark
        for other, marks in MARKS.items()
        if other != resource
        for mark in marks
        if is_in(shown, mark)
    }
    assert not foreign, f"{resource}:read shows {foreign}"


def test_the_marks_are_there_to_be_found(world, personas):
    """With all scopes each mark appears somewhere; a mark that never appears would prove
    nothing.
    """
    program = bearer(personas, scopes.known())
    everything = "".join(body_of(program, name, world) for name, _ in read_alone())
    missing = {mark for marks in MARKS.values() for mark in marks if not is_in(everything, mark)}
    assert not missing


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("api:image-detail", ["images", "predictions"]),
        ("api:image-detail", ["images", "reviews"]),
        ("api:image-isic", ["images", "patients"]),
        ("api:image-isic", ["images", "histologies"]),
        ("api:image-dicom", ["images", "patients"]),
        ("api:image-dicom-report", ["predictions", "patients"]),
        ("api:image-dicom-report", ["predictions", "lesions"]),
        ("api:lesion-detail", ["lesions", "predictions"]),
        ("api:prediction-detail", ["predictions", "measurements"]),
        ("api:prediction-detail", ["predictions", "patients"]),
        ("api:prediction-export", ["predictions", "lesions"]),
        ("api:batch-results", ["batches", "predictions"]),
        ("api:comparison-detail", ["comparisons", "measurements"]),
        ("api:lesion-reminder", ["reminders", "predictions", "reviews", "histologies", "alerts"]),
    ],
)
def test_with_both_scopes_it_is_shown(name, needed, world, personas):
    alone = body_of(bearer(personas, [f"{needed[0]}:read"]), name, world)
    both = body_of(bearer(personas, [f"{resource}:read" for resource in needed]), name, world)
    assert both != alone
