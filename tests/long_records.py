"""Patients with many lesions and images, to count the queries of a page."""

from __future__ import annotations

from datetime import date
from typing import Any

import factory
import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.models import User
from screening.models import (
    Lesion,
    LesionImage,
    LesionPosition,
    Patient,
    Prediction,
    PredictionMaps,
)
from tests.factories import (
    LesionPositionFactory,
    PredictionFactory,
    PredictionMapsFactory,
    count_rows,
)


def lengthen(patient: Patient, user: User, lesions: int, images: int) -> list[Lesion]:
    """Add lesions with that many images each, all read, with one file for all of them."""
    if not default_storage.exists("x.jpg"):
        default_storage.save("x.jpg", ContentFile(b"a picture"))
    made = Lesion.objects.bulk_create(
        Lesion(patient=patient, label=f"L{n}") for n in range(lesions)
    )
    pictures = LesionImage.objects.bulk_create(
        LesionImage(
            lesion=lesion,
            uploaded_by=user,
            captured_on=date(2026, 1, 1 + n),
            file="x.jpg",
            thumbnail="x.jpg",
            width=9,
            height=9,
            sha256=f"{lesion.pk}{n}"[:64],
        )
        for lesion in made
        for n in range(images)
    )
    told = {"requested_by": user, "told_from": timezone.now()}
    Prediction.objects.bulk_create(_alike(PredictionFactory, "image", pictures, **told))
    count_rows()
    return made


def place_and_map(lesions: list[Lesion], user: User) -> None:
    """Each lesion on the body map, each reading with features of its own and little evidence."""
    LesionPosition.objects.bulk_create(
        _alike(LesionPositionFactory, "lesion", lesions, placed_by=user)
    )
    readings = list(Prediction.objects.filter(image__lesion__in=lesions))
    maps = _alike(PredictionMapsFactory, "prediction", readings, evidence=[[[0.7] * 7]])
    rng = np.random.default_rng(7)
    for one in maps:
        one.features = rng.random(1280).astype(np.float16).tobytes()
    PredictionMaps.objects.bulk_create(maps)
    count_rows()


def _alike(
    of: type[factory.django.DjangoModelFactory], field: str, values: list[Any], **others: object
) -> list[Any]:
    """An instance for each value of the field. The factory runs once for all: running it takes
    longer than the insert.
    """
    same = factory.build(dict, FACTORY_CLASS=of, **{field: values[0]}, **others)
    return [of._meta.model(**same | {field: value}) for value in values]
