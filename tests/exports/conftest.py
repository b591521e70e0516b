"""A record with a row of every kind, and an export of it."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from accounts.models import User
from screening.corrections import services as corrections
from screening.exports import services, worker
from screening.models import (
    Export,
    ExternalIdentifier,
    Patient,
    Share,
)
from screening.privacy import consents, sharing
from tests.conftest import Personas
from tests.factories import (
    AlertFactory,
    BatchFactory,
    BatchRowFactory,
    ChangeMarkFactory,
    ClinicFactory,
    ComparisonFactory,
    DoctorVisitFactory,
    FollowingFactory,
    HistologyFactory,
    ImageScaleFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    MeasurementFactory,
    OutlineFactory,
    PredictionFactory,
    PredictionMapsFactory,
    ReminderFactory,
    ReviewFactory,
    picture,
)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def fill(patient: Patient, user: User) -> SimpleNamespace:
    """One row of every kind. The first picture is withdrawn."""
    lesion = LesionFactory(
        patient=patient, label="Left shoulder", notes="Ängstlich „geprüft“", itching=True
    )
    image = LesionImageFactory(
        lesion=lesion, uploaded_by=user, file=ContentFile(picture(7), name="x.jpg")
    )
    earlier = LesionImageFactory(lesion=lesion, uploaded_by=user, captured_on=date(2025, 9, 1))
    slip = LesionImageFactory(lesion=lesion, uploaded_by=user, captured_on=date(2025, 1, 1))
    prediction = PredictionFactory(image=image, requested_by=user, outcome="urgent")
    PredictionMapsFactory(prediction=prediction, features=b"\x00\xff\x10")
    comparison = ComparisonFactory(earlier=earlier, later=image)
    outline = OutlineFactory(image=image, drawn_by=user)
    first = ReviewFactory(image=earlier, reviewer=user, note="first")
    ReviewFactory(image=earlier, reviewer=user, supersedes=first, conclusion="mel")
    ReviewFactory(image=image, reviewer=user)
    histology = HistologyFactory(
        lesion=lesion, recorded_by=user, diagnosis="mel", breslow_mm="0.70"
    )
    batch = BatchFactory(clinic=patient.clinic, created_by=user)
    BatchRowFactory(batch=batch, image=image, prediction=prediction, source={"isic_id": "ISIC_1"})
    of = {"clinic": patient.clinic} if patient.clinic else {"owner": patient.owner}
    ExternalIdentifier.objects.create(**of, kind="lesion", lesion=lesion, system="urn:x", value="7")
    share, _ = sharing.share(user=user, patient=patient, recipient="Dr", days=7)
    sharing.note(share, "picture", image)
    sharing.leave_opinion(share=share, name="Dr", text="Take it out.", author=user)
    consents.give(user=user, patient=patient)
    consents.withdraw(user=user, patient=patient)
    consents.give(user=user, patient=patient)
    FollowingFactory(
        patient=patient,
        clinic=patient.clinic or ClinicFactory(),
        invited_by=user,
        ended_at=timezone.now(),
        ended_by=user,
    )
    corrections.withdraw(user=user, record=slip, reason="A finger.")
    return SimpleNamespace(
        lesion=lesion,
        image=image,
        slip=slip,
        histology=histology,
        visit=DoctorVisitFactory(lesion=lesion, recorded_by=user),
        position=LesionPositionFactory(lesion=lesion, placed_by=user),
        scale=ImageScaleFactory(image=image, set_by=user),
        by_mask=MeasurementFactory(image=image, prediction=prediction),
        by_hand=MeasurementFactory(image=image, prediction=None, outline=outline),
        mark=ChangeMarkFactory(comparison=comparison, marked_by=user),
        alert=AlertFactory(lesion=lesion, earlier=earlier, later=image),
        reminder=ReminderFactory(lesion=lesion, set_by=user),
        share=Share.objects.get(pk=share.pk),
        batch=batch,
    )


def made(user: User, patient: Patient | None = None) -> Export:
    """A finished export."""
    export = services.request_export(user=user, patient=patient)
    assert worker.work()
    export.refresh_from_db()
    assert export.state == Export.State.READY, export.failure
    return export


def file_of(export: Export) -> BytesIO:
    with export.file.open("rb") as file:
        return BytesIO(file.read())


@pytest.fixture
def own(personas: Personas) -> SimpleNamespace:
    """A person's own record."""
    return fill(personas.own_patient, personas.self_tracker)


@pytest.fixture
def of_clinic(personas: Personas) -> SimpleNamespace:
    return fill(personas.patient, personas.admin)
