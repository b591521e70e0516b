"""The patient's details that a reading was made with, and whether they still stand.

Where age, sex, body site or the kind of picture was corrected since, the reading that counts is
made anew by the default version, behind all that someone waits for; until then it goes on counting
and is told with what has changed. One rule, in Python and in SQL.
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

from ml import reader
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
from screening.models.prediction import PredictionQuerySet

CLINICAL_PHOTOGRAPH = "clinical_photograph"
ONE_SWEEP = 100
PAUSE = timedelta(hours=1)
"""Between two tries of the sweep to read anew what failed."""

_UNKNOWN_AGE = Value(-1.0)


def context_of(image: LesionImage) -> PatientContext:
    """What the model is told of the patient: age in the year of capture, sex, localization."""
    return PatientContext.parse(image.age, image.lesion.patient.sex, image.lesion.body_site)


def other_details(prediction: Prediction) -> dict[str, tuple[Any, Any]]:
    """By field, what a finished reading was made with and what stands now; only where they differ.

    ``kind`` is the picture's: an ordinary photograph is not read. Reads ``image.lesion.patient``.
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
    """The finished readings that ``other_details`` has something to say of, in SQL."""
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
    """Queue the images of those ``readings`` that count, but were made with other details.

    One that waits already is left to find the new details. None is rung for.
    """
    made = [
        Prediction(
            image=reading.image,
            requested_by_id=reading.image.uploaded_by_id,
            model_version=reader.DEFAULT_VERSION,
            is_bulk=True,
            rung_at=None,
        )
        for reading in _left(readings).select_related("image").only("image__uploaded_by")
    ]
    # Another may have queued one at the same moment: that one will do.
    return Prediction.objects.bulk_create(made, ignore_conflicts=True)


def queue_some_again() -> list[Prediction]:
    """Queue some of what was missed. What fails is tried again at most so often, with a pause."""
    failed = Prediction.objects.filter(
        image=OuterRef("image"), state=State.FAILED, created__gt=OuterRef("told_from")
    ).order_by()
    failures = failed.values("image").annotate(n=Count("pk")).values("n")
    left = (
        _left(Prediction.objects.all())
        .alias(failures=Coalesce(Subquery(failures), 0))
        .filter(failures__lt=MAX_ATTEMPTS)
        .exclude(Exists(failed.filter(finished_at__gt=timezone.now() - PAUSE)))
        .order_by("pk")
        .values_list("pk", flat=True)[:ONE_SWEEP]
    )
    return queue_again(Prediction.objects.filter(pk__in=list(left)))


def _left(readings: PredictionQuerySet) -> PredictionQuerySet:
    """Those that count, were made with other details, and are not waited for."""
    waiting = Prediction.objects.active().filter(
        image=OuterRef("image"), model_version=reader.DEFAULT_VERSION
    )
    # A photograph gets no class: one that was read as dermatoscopic, and warns, goes on warning
    # until a doctor has settled it.
    warns = Q(image__modality=Modality.CLINICAL, outcome__in=(Outcome.URGENT, Outcome.SEE_DOCTOR))
    return with_other_details(readings.counting()).filter(present(), ~Exists(waiting), ~warns)


def _read_as(prediction: Prediction) -> str:
    if prediction.reason == CLINICAL_PHOTOGRAPH:
        return Modality.CLINICAL
    return Modality.DERMATOSCOPIC


def _told(name: str) -> Any:
    """A field of the stored context as text; NULL where it is null (SQLite writes the word)."""
    return NullIf(KT(f"context__{name}"), Value("null"), output_field=CharField())
