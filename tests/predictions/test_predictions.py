"""Claims, leases and the sweep: every image is read exactly once."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from unittest import mock

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image

from ml import reader
from ml.diagnoses import Diagnosis
from ml.types import NotAssessable
from screening.models import MAX_ATTEMPTS, Prediction, PredictionMaps, State
from screening.predictions import queue, recovery
from tests.factories import PredictionFactory

pytestmark = pytest.mark.django_db


def queued(**fields):
    fields.setdefault("model_version", reader.DEFAULT_VERSION)
    return PredictionFactory(queued=True, **fields)


def expire(prediction):
    past = timezone.now() - timedelta(seconds=1)
    Prediction.objects.filter(pk=prediction.pk).update(lease_expires_at=past)


def test_one_caller_gets_the_claim():
    prediction = queued()
    claimed = queue.claim(prediction.pk)
    assert claimed is not None
    assert (claimed.state, claimed.attempts) == (State.RUNNING, 1)
    assert claimed.lease_expires_at > timezone.now()
    assert queue.claim(prediction.pk) is None


@pytest.mark.parametrize("trait", ["running", "failed", None])
def test_only_a_queued_prediction_can_be_claimed(trait):
    prediction = PredictionFactory(**({trait: True} if trait else {}))
    assert queue.claim(prediction.pk) is None


def test_the_real_model_reads_it():
    prediction = queue.claim(queued().pk)
    queue.read(prediction)
    prediction.refresh_from_db()
    assert prediction.state == State.SUCCEEDED
    assert prediction.outcome
    assert prediction.weights_sha256 == reader.load().weights_sha256
    assert prediction.context == {"age": 66.0, "sex": "female", "localization": "back"}
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert sum(prediction.balanced_probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert prediction.p_malignant == pytest.approx(
        sum(prediction.probabilities[code] for code in ("akiec", "bcc", "mel")), abs=1e-6
    )
    assert prediction.finished_at >= prediction.started_at
    assert prediction.lease_expires_at is None


def test_where_it_saw_what_is_kept_and_adds_up():
    prediction = queue.claim(queued().pk)
    queue.read(prediction)
    prediction.refresh_from_db()
    maps = prediction.maps
    mask = np.asarray(Image.open(BytesIO(maps.mask)))
    assert mask.shape == (150, 200)
    assert set(np.unique(mask)) <= {0, 255}
    evidence = np.array(maps.evidence)
    assert evidence.shape == (15, 20, 7)
    assert maps.evidence_cell * 20 == 200
    for number, code in enumerate(Diagnosis):  # PostgreSQL does not keep the order of keys
        logit = prediction.image_logits[code]
        assert evidence[..., number].sum() + maps.bias[code] == pytest.approx(logit, abs=2e-3)


def test_what_is_wrong_with_a_picture_is_kept_beside_what_is_told():
    prediction = queued()
    grey = BytesIO()
    with prediction.image.file.open("rb") as file:
        Image.open(file).convert("L").convert("RGB").save(grey, "JPEG")
    prediction.image.file.save("grey.jpg", ContentFile(grey.getvalue()))
    queue.read(queue.claim(prediction.pk))
    prediction.refresh_from_db()
    assert NotAssessable.NO_COLOUR in (prediction.reason, *prediction.remarks)
    assert prediction.outcome != "monitor"


def test_a_clinical_photograph_gets_no_class():
    prediction = queue.claim(queued(image__modality="clinical").pk)
    queue.read(prediction)
    prediction.refresh_from_db()
    assert (prediction.outcome, prediction.reason) == ("not_assessable", "clinical_photograph")
    assert prediction.probabilities == {}
    assert prediction.p_malignant is None
    assert not PredictionMaps.objects.exists()


def test_what_is_not_known_of_the_patient_is_not_made_up():
    image = queued(
        image__lesion__body_site="",
        image__lesion__patient__sex="",
        image__lesion__patient__birth_year=None,
    ).image
    context = queue.context_of(image)
    assert (context.age, context.sex, context.localization) == (None, None, None)


def test_a_missing_file_fails_with_a_reason():
    prediction = queue.claim(queued().pk)
    prediction.image.file.storage.delete(prediction.image.file.name)
    queue.read(prediction)
    prediction.refresh_from_db()
    assert prediction.state == State.FAILED
    assert "could not be opened" in prediction.failure


def test_a_missing_model_fails_with_a_reason():
    prediction = queue.claim(queued(model_version="1999.1").pk)
    queue.read(prediction)
    prediction.refresh_from_db()
    assert prediction.state == State.FAILED
    assert "model" in prediction.failure


def test_a_bug_is_raised_and_told_in_general_words(monkeypatch):
    def broken(image):
        raise RuntimeError("the inside of the machine")

    monkeypatch.setattr(queue, "context_of", broken)
    prediction = queue.claim(queued().pk)
    with pytest.raises(RuntimeError):
        queue.read(prediction)
    prediction.refresh_from_db()
    assert prediction.state == State.FAILED
    assert "machine" not in prediction.failure


def test_a_worker_that_lost_its_lease_cannot_finish():
    slow = queue.claim(queued().pk)
    expire(slow)
    assert recovery.sweep(rung_before=timezone.now()) == [slow]
    quick = queue.claim(slow.pk)
    assert quick.attempts == 2
    queue.read(slow)
    quick.refresh_from_db()
    assert quick.state == State.RUNNING
    queue.read(quick)
    quick.refresh_from_db()
    assert quick.state == State.SUCCEEDED


def test_the_sweep_gives_up_after_three_attempts():
    pk = queued().pk
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claimed = queue.claim(pk)
        assert claimed.attempts == attempt
        expire(claimed)
        rung = recovery.sweep(rung_before=timezone.now() - timedelta(minutes=1))
        assert rung == ([claimed] if attempt < MAX_ATTEMPTS else [])
    prediction = Prediction.objects.get(pk=pk)
    assert prediction.state == State.FAILED
    assert "3 times" in prediction.failure


def test_one_that_cannot_be_given_up_stops_no_other(monkeypatch):
    hopeless, lost = queue.claim(queued().pk), queue.claim(queued().pk)
    Prediction.objects.filter(pk=hopeless.pk).update(attempts=MAX_ATTEMPTS)
    expire(hopeless)
    expire(lost)
    monkeypatch.setattr(queue.outbox, "announce_about", mock.Mock(side_effect=RuntimeError))
    assert recovery.sweep(rung_before=timezone.now()) == [lost]
    hopeless.refresh_from_db()
    assert hopeless.state == State.RUNNING


def test_the_sweep_leaves_a_living_lease_alone():
    claimed = queue.claim(queued().pk)
    assert recovery.sweep(rung_before=timezone.now()) == []
    claimed.refresh_from_db()
    assert claimed.state == State.RUNNING


def test_the_sweep_rings_once_for_what_waits_long():
    old, new = queued(), queued()
    hour_ago = timezone.now() - timedelta(hours=1)
    Prediction.objects.filter(pk=old.pk).update(rung_at=hour_ago)
    minute_ago = timezone.now() - timedelta(minutes=1)
    assert recovery.sweep(rung_before=minute_ago) == [old]
    assert recovery.sweep(rung_before=minute_ago) == []
    assert recovery.sweep(rung_before=timezone.now()) == [old, new]


def test_a_sweep_is_five_queries_however_much_waits(django_assert_num_queries):
    for _ in range(5):
        queued()
    with django_assert_num_queries(4):
        recovery.sweep(rung_before=timezone.now())
