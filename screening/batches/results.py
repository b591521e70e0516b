"""Readings as a table, of a batch or of any selection. ``Prediction.objects.visible_to`` leaves out
what a clinic withholds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from ml.diagnoses import Diagnosis
from screening.batches.queries import ROWS_AT_ONCE, problems_of
from screening.interop.tables import Columns, Value
from screening.models import Batch, BatchRow, Prediction

_CLASSES = [diagnosis.value for diagnosis in Diagnosis]
RESULT_COLUMNS: Columns = {
    "prediction": str,
    "image": str,
    "lesion": str,
    "patient": str,
    "patient_label": str,
    "lesion_label": str,
    "body_site": str,
    "captured_on": date,
    "modality": str,
    "state": str,
    "counts": bool,
    "told_until": datetime,
    "outcome": str,
    "model_outcome": str,
    "reason": str,
    "remarks": str,
    "p_malignant": float,
    **{f"p_{name}": float for name in _CLASSES},
    **{f"balanced_{name}": float for name in _CLASSES},
    "in_distribution": float,
    "model_version": str,
    "weights_sha256": str,
    "thresholds_version": str,
    "queued_at": datetime,
    "finished_at": datetime,
    "failure": str,
}
WHOSE = {
    **dict.fromkeys(RESULT_COLUMNS, "predictions"),
    "patient_label": "patients",
    **dict.fromkeys(("lesion_label", "body_site"), "lesions"),
    **dict.fromkeys(("captured_on", "modality"), "images"),
}
"""The resource that each column belongs to: programs see only the columns that they may read."""
BATCH_COLUMNS: Columns = {"row": int, "picture": str, **RESULT_COLUMNS}
PROBLEM_COLUMNS: Columns = {"row": int, "image": str, "column": str, "reason": str}


def results_of(predictions: QuerySet[Prediction]) -> Iterator[list[Value]]:
    """Readings in the order of their identifiers, which are time-ordered. Each page starts after
    the last row of the one before, so the last page costs no more than the first, and memory holds
    one page.
    """
    ordered = predictions.select_related("image__lesion__patient").order_by("pk")
    page = list(ordered[:ROWS_AT_ONCE])
    while page:
        yield from map(_record, page)
        page = list(ordered.filter(pk__gt=page[-1].pk)[:ROWS_AT_ONCE])


def results_of_batch(batch: Batch, user: User) -> Iterator[list[Value]]:
    """Readings that ``user`` may see, by manifest row."""
    rows = (
        BatchRow.objects.filter(
            batch=batch, prediction__in=Prediction.objects.visible_to(user).values("pk")
        )
        .select_related("prediction__image__lesion__patient")
        .order_by("number")
    )
    page: list[Any] = list(rows[:ROWS_AT_ONCE])
    while page:
        for row in page:
            yield [row.number, row.picture, *_record(row.prediction)]
        page = list(rows.filter(number__gt=page[-1].number)[:ROWS_AT_ONCE])


def problem_rows(batch: Batch) -> Iterator[list[Value]]:
    for problem in problems_of(batch):
        yield [problem.row, problem.image, problem.column, problem.reason]


def _record(prediction: Prediction) -> list[Value]:
    image = prediction.image
    lesion = image.lesion
    return [
        str(prediction.pk),
        str(image.pk),
        str(lesion.pk),
        str(lesion.patient_id),
        lesion.patient.label,
        lesion.label,
        lesion.body_site,
        image.captured_on,
        image.modality,
        prediction.state,
        prediction.counts,
        prediction.told_until,
        prediction.outcome_told,
        prediction.outcome,
        prediction.reason,
        " ".join(prediction.remarks),
        prediction.p_malignant,
        *[prediction.probabilities.get(name) for name in _CLASSES],
        *[prediction.balanced_probabilities.get(name) for name in _CLASSES],
        prediction.in_distribution,
        prediction.model_version,
        prediction.weights_sha256,
        prediction.thresholds_version,
        prediction.created,
        prediction.finished_at,
        prediction.failure,
    ]
