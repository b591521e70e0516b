"""Which reading of an image counts: the newest one by the default model version (``adoption``).

A reading counts from when it is finished (``told_from``) until the next one replaces it
(``told_until``), so the history keeps what was shown before. Readings by other versions are shown
beside it; one of them counts only until the default version has finished a reading.
"""

from __future__ import annotations

from django.db import transaction

from screening.models import Lesion, LesionImage, Modality, Outcome, Prediction
from screening.predictions import adoption
from screening.predictions.arrivals import next_moment

GRAVE = (Outcome.URGENT, Outcome.SEE_DOCTOR)


@transaction.atomic
def count(prediction: Prediction) -> bool:
    """Make a finished reading the one that counts, if it may. Returns whether it did."""
    now = next_moment(Lesion.everything.get(images=prediction.image_id))
    # Only one counts at a time.
    LesionImage.everything.select_for_update().get(pk=prediction.image_id)
    before = Prediction.objects.filter(image=prediction.image_id).counting().first()
    if before == prediction:
        return True
    if before is not None and not _may_replace(before, prediction):
        return False
    if before is not None:
        Prediction.objects.filter(pk=before.pk).update(told_until=now, modified=now)
    Prediction.objects.filter(pk=prediction.pk).update(told_from=now, modified=now)
    prediction.told_from = now
    return True


def _may_replace(before: Prediction, after: Prediction) -> bool:
    """A warning remains if its picture is later marked as a photograph, because nothing was read
    again.
    """
    if before.outcome_told in GRAVE and after.image.modality == Modality.CLINICAL:
        return False
    if after.model_version == before.model_version:
        # Readings of an image by one version are made one at a time, so this one finished later.
        return True
    return after.model_version == adoption.default()
