"""The patient details that a reading used, and whether they are still current.

If age, sex, body site or the kind of picture has been corrected since, the default version reads
the image again, after all readings that someone is waiting for. Until then the old reading still
counts and is shown with what has changed. One rule, in Python and in SQL.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Count,
    Exists,
    F,
    FloatField,
    IntegerField,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, ExtractYear, NullIf
from django.utils import timezone

from ml.types import MAX_AGE, PatientContext
from screening.models import (
    MAX_ATTEMPTS,
    LesionImage,
    Modality,
    Outcome,
    Prediction,
    State,
)
from screening.models.image import present
from screening.models.prediction import TOLD, PredictionQuerySet
from screening.operations import clock
from screening.predictions import adoption

CLINICAL_PHOTOGRAPH = "clinical_photograph"
ONE_SWEEP = 100
PAUSE = timedelta(hours=1)
"""Pause between two attempts of the sweep to repeat a failed reading."""

_UNKNOWN_AGE = Value(-1.0)


def context_of(image: LesionImage) -> PatientContext:
    """The details that the model gets: age in the year of capture, sex, localization."""
    return PatientContext.parse(image.age, image.lesion.patient.sex, image.lesion.body_site)


def other_details(prediction: Prediction) -> dict[str, tuple[Any, Any]]:
    """By field, the value that a finished reading used and the current one, where they differ.

    ``kind`` is the kind of picture: an ordinary photograph is not read. Reads
    ``image.lesion.patient``.
    """
    if prediction.state != State.SUCCEEDED:
        return {}
    read_as, image = _read_as(prediction), prediction.image
    if read_as != image.modality:
        return {"kind": (read_as, image.modality)}
    now = asdict(context_of(image))
    return {
        name: (then, now[name]) for name, then in prediction.context.items() if then != now[name]
    }


def with_other_details(readings: PredictionQuerySet) -> PredictionQuerySet:
    """The finished readings for which ``other_details`` is not empty, in SQL."""
    age = ExtractYear("image__captured_on") - F("image__lesion__patient__birth_year")
    photographed = Q(reason=CLINICAL_PHOTOGRAPH)
    is_photograph = Q(image__modality=Modality.CLINICAL)
    return (
        readings.finished()
        .alias(
            age_of_birth=Cast(age, IntegerField()),
            age_then=Coalesce(Cast(_told("age"), FloatField()), _UNKNOWN_AGE),
            age_now=Case(
                When(age_of_birth__range=(0, MAX_AGE), then=Cast("age_of_birth", FloatField())),
                default=_UNKNOWN_AGE,
                output_field=FloatField(),
            ),
            sex_then=Coalesce(_told("sex"), Value("")),
            site_then=Coalesce(_told("localization"), Value("")),
        )
        .filter(
            (photographed & ~is_photograph)
            | (~photographed & is_photograph)
            | (
                ~photographed
                & ~Q(context={})
                & ~Q(
                    age_then=F("age_now"),
                    sex_then=F("image__lesion__patient__sex"),
                    site_then=F("image__lesion__body_site"),
                )
            )
        )
    )


def queue_again(readings: PredictionQuerySet) -> list[Prediction]:
    """Queue the images of those ``readings`` that count but used other details.

    An image that is already queued is skipped: that reading will use the new details. No worker is
    notified.
    """
    left = _left(readings).select_related("image").only("image__uploaded_by")
    return _queue([reading.image for reading in left])


def queue_by_default(reading: Prediction) -> list[Prediction]:
    """Queue the image of a reading by another version than the default, made on request of an older
    release, if it counts or failed and the default has not tried.
    """
    version = adoption.default()
    tried = Prediction.objects.filter(image=reading.image_id, model_version=version)
    return [] if reading.model_version == version or tried.exists() else _queue([reading.image])


def _queue(images: list[LesionImage]) -> list[Prediction]:
    version = adoption.default()
    made = [
        Prediction(
            image=image,
            requested_by_id=image.uploaded_by_id,
            model_version=version,
            is_bulk=True,
            rung_at=None,
        )
        for image in images
    ]
    # Another process may have queued one at the same moment; that one is enough.
    return Prediction.objects.bulk_create(made, ignore_conflicts=True)


def queue_some_again() -> list[Prediction]:
    """Queue some of the readings that were missed. Failures are retried a limited number of times,
    with a pause.
    """
    now = timezone.now()
    failed = Prediction.objects.filter(
        image=OuterRef("image"), state=State.FAILED, created__gt=OuterRef("told_from")
    ).order_by()
    failures = failed.values("image").annotate(n=Count("pk")).values("n")
    left = (
        _left(Prediction.objects.all())
        .alias(failures=Coalesce(Subquery(failures), 0))
        .filter(failures__lt=MAX_ATTEMPTS)
        .exclude(Exists(failed.filter(finished_at__range=(now - PAUSE, now + clock.SLACK))))
        .order_by("pk")
        .values_list("pk", flat=True)[:ONE_SWEEP]
    )
    return queue_again(Prediction.objects.filter(pk__in=list(left)))


def _left(readings: PredictionQuerySet) -> PredictionQuerySet:
    """Readings that count, used other details, and have no successor queued."""
    waiting = Prediction.objects.active().filter(
        image=OuterRef("image"), model_version=adoption.default()
    )
    # A photograph gets no class. A warning from when it was read as dermatoscopic stays until a
    # doctor has settled it.
    warns = Q(image__modality=Modality.CLINICAL, told__in=(Outcome.URGENT, Outcome.SEE_DOCTOR))
    left = with_other_details(readings.counting()).alias(told=TOLD)
    return left.filter(present(), ~Exists(waiting), ~warns)


def _read_as(prediction: Prediction) -> str:
    if prediction.reason == CLINICAL_PHOTOGRAPH:
        return Modality.CLINICAL
    return Modality.DERMATOSCOPIC


def _told(name: str) -> Any:
    """A field of the stored context as text; NULL for JSON null (SQLite returns the word
    "null").
    """
    return NullIf(KT(f"context__{name}"), Value("null"), output_field=CharField())
