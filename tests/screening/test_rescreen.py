"""Another model version reads the same images: rows are added, none is changed."""

from __future__ import annotations

from io import StringIO
from unittest import mock

import pytest
from django.core.management import CommandError, call_command

from ml import reader
from screening import intake, tasks, tracking
from screening.models import Prediction
from screening.predictions import queue
from tests.factories import LesionImageFactory, PredictionFactory

pytestmark = pytest.mark.django_db

NEW = reader.DEFAULT_VERSION


@pytest.fixture(autouse=True)
def rung():
    with mock.patch.object(tasks.read_prediction_task, "apply_async") as send:
        yield send


def rescreen(*arguments):
    out = StringIO()
    call_command("rescreen", "--model", NEW, *arguments, stdout=out)
    return out.getvalue()


def test_it_adds_rows_in_the_bulk_queue_and_changes_none(rung, django_capture_on_commit_callbacks):
    old = PredictionFactory()
    before = Prediction.objects.values().get(pk=old.pk)
    with django_capture_on_commit_callbacks(execute=True):
        assert "1 of 1 images queued" in rescreen("--no-wait")
    added = old.image.predictions.exclude(pk=old.pk).get()
    assert (added.model_version, added.is_bulk, added.state) == (NEW, True, "queued")
    rung.assert_called_once_with((str(added.pk),), queue="bulk")
    assert Prediction.objects.values().get(pk=old.pk) == before


def test_run_again_it_adds_nothing():
    PredictionFactory()
    rescreen("--no-wait")
    assert "0 of 1 images queued" in rescreen("--no-wait")
    assert Prediction.objects.count() == 2


def test_a_failed_reading_is_tried_again_and_a_photograph_is_left_out():
    PredictionFactory(failed=True, model_version=NEW)
    LesionImageFactory(modality="clinical")
    assert "1 of 1 images queued" in rescreen("--no-wait")


def test_it_lists_where_the_versions_disagree():
    same = PredictionFactory(outcome="monitor")
    PredictionFactory(image=same.image, outcome="monitor", model_version=NEW)
    other = PredictionFactory(outcome="urgent", model_version="test-0")
    PredictionFactory(image=other.image, outcome="see_doctor", model_version="test-1")
    PredictionFactory(image=other.image, outcome="monitor", model_version=NEW)
    PredictionFactory(outcome="urgent")
    out = rescreen("--no-wait")
    assert f"{other.image_id}  test-1 see_doctor  ->  {NEW} monitor" in out
    assert "1 images have another outcome" in out


def test_it_waits_until_all_is_read(monkeypatch):
    PredictionFactory()

    def work(seconds):
        for prediction in Prediction.objects.active():
            queue.read(queue.claim(prediction.pk))

    monkeypatch.setattr("screening.management.commands.rescreen.time.sleep", work)
    assert "1 to be read" in rescreen()
    assert Prediction.objects.finished().filter(model_version=NEW).count() == 1


def test_an_unknown_version_is_refused():
    with pytest.raises(CommandError, match="no model 1999"):
        call_command("rescreen", "--model", "1999.1")
    assert not list(tracking.disagreements("1999.1"))


def test_what_someone_waits_for_is_rung_first():
    bulk = intake.rescreen(image=LesionImageFactory(), model_version=NEW)
    waited_for = PredictionFactory(queued=True)
    Prediction.objects.update(rung_at=None)
    assert queue.sweep(rung_before=waited_for.created) == [waited_for, bulk]


def test_a_version_of_which_only_the_card_is_kept_cannot_read_again():
    oldest = reader.versions()[0]
    with pytest.raises(CommandError, match=f"Only the card is kept of model {oldest}"):
        call_command("rescreen", "--model", oldest)
