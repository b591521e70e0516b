"""Which images are to be read again after a correction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from django.db.models import QuerySet

from accounts.models import User
from screening import intake
from screening.models import LesionImage, Modality, Outcome, Prediction
from screening.predictions.queue import CLINICAL_PHOTOGRAPH, context_of

GRAVE = (Outcome.URGENT, Outcome.SEE_DOCTOR)


def read_outdated(user: User, images: QuerySet[LesionImage]) -> None:
    """Post: those of ``images`` are queued whose reading was told something else of the patient, or
    was of another kind of picture."""
    for image in _with_patient(images):
        counting = image.predictions.counting().first()
        if counting is not None and _is_outdated(image, counting):
            intake.request_prediction(user=user, image=image)


def _is_outdated(image: LesionImage, reading: Prediction) -> bool:
    if image.modality == Modality.DERMATOSCOPIC:
        return reading.context != asdict(context_of(image))
    # A photograph gets no class: one that was told of it before, and warns, stays until a doctor
    # has settled it.
    return reading.reason != CLINICAL_PHOTOGRAPH and reading.outcome not in GRAVE


def _with_patient(images: QuerySet[LesionImage]) -> Iterable[LesionImage]:
    return images.present().select_related("lesion__patient")  # type: ignore[attr-defined]
