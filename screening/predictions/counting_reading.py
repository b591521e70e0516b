"""Which reading of an image counts: one of the default model version, the newest one made.

It counts from when it is finished (``told_from``) until the next one takes its place
(``told_until``), so what was told before stays in the history. Readings of other versions stand
beside it; one of them counts only while no reading of the default version was ever finished.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from ml import reader
from screening.models import LesionImage, Modality, Outcome, Prediction

GRAVE = (Outcome.URGENT, Outcome.SEE_DOCTOR)


@transaction.atomic
def count(prediction: Prediction) -> bool:
    """Let a finished reading take the place of the one that counts, if it may. Whether it did."""
    LesionImage.everything.select_for_update().get(pk=prediction.image_id)  # one at a time
    before = Prediction.objects.filter(image=prediction.image_id).counting().first()
    if before is not None and not _may_replace(before, prediction):
        return False
    now = timezone.now()
    if before is not None:
        Prediction.objects.filter(pk=before.pk).update(told_until=now, modified=now)
    Prediction.objects.filter(pk=prediction.pk).update(told_from=now, modified=now)
    prediction.told_from = now
    return True


def _may_replace(before: Prediction, after: Prediction) -> bool:
    """A warning stays where the picture is called a photograph since: nothing was read anew."""
    if before.outcome in GRAVE and after.image.modality == Modality.CLINICAL:
        return False
    if after.model_version == before.model_version:
        return (after.created, after.pk) > (before.created, before.pk)
    return after.model_version == reader.DEFAULT_VERSION
