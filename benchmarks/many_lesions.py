"""A patient with very many lesions, for ``benchmarks.pages`` and for counting queries in tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from itertools import pairwise

import numpy as np
from django.core.files.base import ContentFile
from PIL import Image, ImageDraw

from accounts.models import Clinic, Membership, User
from accounts.roles import Role
from ml import reader
from ml.diagnoses import Diagnosis
from ml.types import MEASURES_VERSION, REGISTRATION_VERSION
from screening.images import synthetic
from screening.models import (
    Alert,
    BodyView,
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
    PredictionMaps,
    Reminder,
    Side,
    State,
)
from screening.reviews import services as review_services

BATCH = 500
SIZE = (600, 450)
TODAY = date(2026, 11, 1)
VALUES = {
    "area_px": 21640.0,
    "area_share": 0.08,
    "longest_diameter_px": 184.0,
    "shortest_diameter_px": 151.0,
    "perimeter_px": 552.0,
    "asymmetry_shape": 0.07,
    "asymmetry_colour": 5.3,
    "border_irregularity": 1.12,
    "colour_variegation": 9.8,
    "colours": {
        "white": 0.0,
        "red": 0.01,
        "light_brown": 0.6,
        "dark_brown": 0.3,
        "blue_grey": 0.0,
        "black": 0.0,
    },
    "mean_lab": [42.1, 17.3, 21.9],
    "ita_degrees": 38.4,
    "centre": [301.5, 224.0],
    "touches_border": False,
}


@dataclass(frozen=True, slots=True)
class Filled:
    """user: a clinician. lesion: one of the patient's. images: of that lesion, latest capture
    first.
    """

    user: User
    patient: Patient
    lesion: Lesion
    images: list[LesionImage]


def fill(lesions: int, images: int) -> Filled:
    """One patient; every image read, measured and compared with the one before, every lesion on the
    body map, with a reminder, a review, an alert, a change mark and a histology.
    """
    user = User.objects.create_user("many@example.org", "many")
    clinic = Clinic.objects.create(name="Many")
    Membership.objects.create(user=user, clinic=clinic, role=Role.CLINICIAN)
    patient = Patient.objects.create(clinic=clinic, label="M-1", birth_year=1960, sex="female")
    made = Lesion.objects.bulk_create(
        [Lesion(patient=patient, label=f"Lesion {n + 1}", body_site="back") for n in range(lesions)]
    )
    pictures = _pictures(made, images, user)
    _read(pictures, user)
    _follow(made, pictures, images, user)
    lesion = made[0]
    return Filled(user, patient, lesion, list(lesion.images.latest_first()))


def _pictures(lesions: list[Lesion], images: int, user: User) -> list[LesionImage]:
    """By lesion and day of capture. All rows share one pair of files."""
    jpeg = synthetic.jpeg(synthetic.draw_lesion(seed=7, size=SIZE))
    rows = [
        LesionImage(
            lesion=lesion,
            uploaded_by=user,
            captured_on=TODAY - timedelta(days=30 * (images - n)),
            width=SIZE[0],
            height=SIZE[1],
            sha256=f"{lesion.pk.hex}{n:032x}",
            is_synthetic=True,
        )
        for lesion in lesions
        for n in range(images)
    ]
    first = rows[0]
    first.file.save("image.jpg", ContentFile(jpeg), save=False)
    first.thumbnail.save("thumbnail.jpg", ContentFile(jpeg), save=False)
    for row in rows:
        row.file.name, row.thumbnail.name = first.file.name, first.thumbnail.name
    return LesionImage.objects.bulk_create(rows, BATCH)


def _read(pictures: list[LesionImage], user: User) -> None:
    finished = [
        Prediction(
            image=image,
            requested_by=user,
            model_version=reader.DEFAULT_VERSION,
            state=State.SUCCEEDED,
            attempts=1,
            finished_at=image.created,
            told_from=image.created,
            outcome="monitor" if n % 7 else "see_doctor",
            p_malignant=0.03 + 0.01 * (n % 9),
            probabilities={d.value: 0.14 for d in Diagnosis},
            balanced_probabilities={d.value: 0.14 for d in Diagnosis},
            image_logits={d.value: 0.0 for d in Diagnosis},
            weights_sha256="0" * 64,
            in_distribution=0.9,
        )
        for n, image in enumerate(pictures)
    ]
    readings = Prediction.objects.bulk_create(finished, BATCH)
    random = np.random.default_rng(1)
    evidence = random.normal(size=(15, 20, len(Diagnosis))).round(5).tolist()
    mask = _mask()
    for start in range(0, len(readings), BATCH):
        PredictionMaps.objects.bulk_create(
            PredictionMaps(
                prediction=reading,
                mask=mask,
                evidence=evidence,
                evidence_cell=10,
                bias={d.value: 0.0 for d in Diagnosis},
                features=random.normal(size=1280).astype(np.float16).tobytes(),
            )
            for reading in readings[start : start + BATCH]
        )
    Measurement.objects.bulk_create(
        [
            Measurement(
                image=reading.image,
                prediction=reading,
                algorithm_version=MEASURES_VERSION,
                values=VALUES,
            )
            for reading in readings
        ],
        BATCH,
    )


def _follow(lesions: list[Lesion], pictures: list[LesionImage], images: int, user: User) -> None:
    compared = Comparison.objects.bulk_create(
        [
            Comparison(
                earlier=earlier,
                later=later,
                algorithm_version=REGISTRATION_VERSION,
                aligned=True,
                matrix=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
                score=0.8,
            )
            for n in range(len(lesions))
            for earlier, later in pairwise(pictures[n * images : (n + 1) * images])
        ],
        BATCH,
    )
    ChangeMark.objects.bulk_create(
        [ChangeMark(comparison=one, marked_by=user, verdict="unchanged") for one in compared], BATCH
    )
    for n, lesion in enumerate(lesions):
        own = pictures[n * images : (n + 1) * images]
        ImageScale.objects.create(
            image=own[-1], set_by=user, source="field_of_view", mm_per_pixel=0.033
        )
        review_services.record_review(
            user=user, image=own[-1], conclusion="nv", management="monitor"
        )
        Histology.objects.create(
            lesion=lesion, recorded_by=user, diagnosis="nv", examined_on=own[0].captured_on
        )
        Reminder.objects.create(lesion=lesion, set_by=user, interval_months=6, due_on=TODAY)
        LesionPosition.objects.create(
            lesion=lesion,
            placed_by=user,
            view=BodyView.BACK,
            x=0.3 + 0.4 * n / len(lesions),
            y=0.3,
            region="upper back",
            side=Side.MIDLINE,
        )
        if len(own) > 1:
            Alert.objects.create(
                lesion=lesion,
                rule="growth",
                earlier=own[-2],
                later=own[-1],
                before={"area_share": 0.05},
                after={"area_share": 0.09},
            )


def _mask() -> bytes:
    image = Image.new("L", (200, 150))
    ImageDraw.Draw(image).ellipse((60, 40, 139, 109), fill=255)
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
