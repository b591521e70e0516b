"""Work that runs while a record is erased leaves nothing behind: real threads, on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO

import pytest
from django.db import connection
from django.utils import timezone

from screening.erasure import eraser, services, traces
from screening.images import services as image_services
from screening.models import Erasure, Lesion, LesionImage, Prediction, State
from screening.predictions import queue
from tests.factories import LesionImageFactory, PredictionFactory, picture
from tests.races.test_races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: script/with-services"
    ),
]


def test_uploads_and_readings_meanwhile_leave_nothing(personas):
    """Its erasure was requested while they ran, and nothing of theirs remains."""
    user = personas.self_tracker
    image = LesionImageFactory(lesion__patient=personas.own_patient, uploaded_by=user)
    read = PredictionFactory(image=image, queued=True)
    claimed = queue.claim(read.pk)
    assert claimed is not None
    files = [BytesIO(picture(seed)) for seed in range(3)]
    cleaned = [image_services.cleaned(file) for file in files]
    asked = services.ask_for_record(user=user, patient=personas.own_patient)
    Erasure.objects.filter(pk=asked.pk).update(erased_from=timezone.now() - timedelta(seconds=1))

    def upload(clean):
        """As one that passed its first checks before the record was hidden."""
        added = LesionImage(
            lesion=image.lesion,
            uploaded_by=user,
            captured_on=image.captured_on,
            width=clean.width,
            height=clean.height,
            sha256=clean.sha256,
        )
        return lambda: image_services._store(added, clean, user, in_batch=False)

    at_once(
        eraser.erase_due,
        *map(upload, cleaned),
        lambda: queue.finish(claimed, state=State.FAILED, failure="It failed."),
    )
    Erasure.objects.update(rests_until=None)
    eraser.erase_due()
    assert not LesionImage.everything.exists()
    assert not Lesion.everything.exists()
    assert not Prediction.objects.exists()
    assert list(traces._stored("")) == []
    assert Erasure.objects.get().state == "erased"
