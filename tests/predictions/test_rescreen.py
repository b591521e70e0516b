"""Another model version reads the same images: rows are added, none is changed."""

from __future__ import annotations

import re
from io import BytesIO, StringIO
from operator import attrgetter
from unittest import mock

import pytest
from django.core.management import CommandError, call_command
from django.utils.html import strip_tags
from pypdf import PdfReader

from ml import reader
from screening import tasks
from screening.corrections.services import withdraw
from screening.models import Prediction
from screening.predictions import default_reading, queue, recovery, succession
from screening.predictions import services as prediction_services
from screening.predictions.queries import counting_reading
from screening.records import queries as record_queries
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PredictionFactory,
    ReviewFactory,
)

pytestmark = pytest.mark.django_db

NEW = reader.DEFAULT_VERSION


@pytest.fixture(autouse=True)
def rung():
    with mock.patch.object(tasks.read_prediction_task, "apply_async") as send:
        yield send


def rescreen(*arguments):
    out = StringIO()
    call_command("rescreen", *arguments, stdout=out)
    return out.getvalue()


def html_text(response):
    return " ".join(strip_tags(response.content.decode()).split())


def pdf_text(response):
    pages = PdfReader(BytesIO(b"".join(response.streaming_content))).pages
    return " ".join(page.extract_text() for page in pages)


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


def test_what_was_read_by_other_thresholds_is_read_again_once():
    told = reader.card(NEW)["thresholds_version"]
    old = PredictionFactory(model_version=NEW, thresholds_version="t-before")
    PredictionFactory(model_version=NEW, thresholds_version=told)
    before = Prediction.objects.values().get(pk=old.pk)
    assert "1 of 2 images queued" in rescreen("--no-wait")
    assert "0 of 2 images queued" in rescreen("--no-wait")
    assert old.image.predictions.get(state="queued").model_version == NEW
    assert Prediction.objects.values().get(pk=old.pk) == before


def test_a_failed_reading_is_tried_again_and_a_photograph_is_left_out():
    PredictionFactory(failed=True, model_version=NEW)
    LesionImageFactory(modality="clinical")
    assert "1 of 1 images queued" in rescreen("--no-wait")


def test_it_lists_which_lesions_are_told_otherwise_the_milder_ones_first():
    same = PredictionFactory(outcome="monitor")
    PredictionFactory(image=same.image, outcome="monitor", model_version=NEW)
    graver = PredictionFactory(outcome="monitor")
    PredictionFactory(image=graver.image, outcome="urgent", model_version=NEW)
    fell = PredictionFactory(outcome="see_doctor")
    PredictionFactory(image=fell.image, outcome="monitor", model_version=NEW)
    fell_far = PredictionFactory(outcome="urgent", model_version="test-0")
    PredictionFactory(image=fell_far.image, outcome="monitor", model_version=NEW)
    held = PredictionFactory(outcome="urgent")  # by another image of the lesion
    PredictionFactory(image=held.image, outcome="monitor", model_version=NEW)
    PredictionFactory(image__lesion=held.image.lesion, outcome="urgent", model_version=NEW)
    PredictionFactory(outcome="urgent")  # not read by the new one yet
    for name in ("image", "image.lesion", "image.lesion.patient"):  # withdrawn: shown to nobody
        gone = PredictionFactory(outcome="urgent")
        PredictionFactory(image=gone.image, outcome="monitor", model_version=NEW)
        withdraw(
            user=MembershipFactory(clinic=gone.image.lesion.patient.clinic).user,
            record=attrgetter(name)(gone),
            reason="A test.",
        )
    lines = rescreen("--no-wait").splitlines()
    named = [line for line in lines if "->" in line]
    lesions = [one.image.lesion_id for one in (fell_far, fell, graver)]
    assert [str(lesion) in line for lesion, line in zip(lesions, named, strict=True)] == [True] * 3
    assert f"urgent by test-0  ->  monitor by {NEW}" in named[0]
    assert [line.startswith("MILDER") for line in named] == [True, True, False]
    assert lines[-1] == "3 lesions have another outcome, 2 of them milder."


def test_other_thresholds_of_the_default_version_are_another_reading(monkeypatch):
    read = PredictionFactory(model_version=NEW, outcome="urgent", thresholds_version="t-old")
    assert "1 of 1 images queued" in rescreen("--no-wait")
    waiting = Prediction.objects.active().get()
    queue.read(queue.claim(waiting.pk))
    waiting.refresh_from_db()
    assert waiting.counts
    read.refresh_from_db()
    assert read.told_until is not None
    assert "0 of 1 images queued" in rescreen("--no-wait")
    assert [one.before for one in succession.changes()] == [read]


def test_an_older_version_never_changes_what_is_told(monkeypatch):
    monkeypatch.setattr(reader, "readable", lambda: ("test-0", NEW))
    monkeypatch.setattr(reader, "card", lambda version="": {"thresholds_version": "t-0"})
    told = PredictionFactory(outcome="urgent", model_version=NEW)
    out = StringIO()
    call_command("rescreen", "--model", "test-0", "--no-wait", stdout=out)
    other = told.image.predictions.get(model_version="test-0")
    Prediction.objects.filter(pk=other.pk).update(
        state="succeeded", outcome="monitor", weights_sha256="0" * 64, finished_at=other.created
    )
    other.refresh_from_db()
    assert not default_reading.count(other)
    assert Prediction.objects.counting().get() == told
    assert counting_reading(told.image) == told
    out = StringIO()
    call_command("rescreen", "--model", "test-0", "--no-wait", stdout=out)
    assert f"{NEW} urgent  ->  test-0 monitor" in out.getvalue()
    assert "nobody is told what it read" in out.getvalue()


def test_what_was_told_before_stays_in_sight_on_the_lesion(client, personas):
    lesion = LesionFactory(patient=personas.patient)
    old = PredictionFactory(image__lesion=lesion, outcome="urgent", model_version="2020.1")
    # The first makes it milder; the second, with other details, gives the same result again.
    for _ in range(2):
        PredictionFactory(image=old.image, outcome="monitor", model_version=NEW)
    client.force_login(personas.clinician)
    shown = html_text(client.get(f"/lesions/{lesion.pk}/"))
    assert re.search(r"Urgent until \d+ \w+ \d+, read by model 2020\.1", shown)
    assert "until" in client.get(f"/images/{old.image_id}/").content.decode()
    for address in ("/", f"/patients/{lesion.patient_id}/", "/worklist/?reviewed=all"):
        assert "Earlier reading: Urgent" in html_text(client.get(address))
    for address in (f"/lesions/{lesion.pk}/report/", f"/patients/{lesion.patient_id}/report/"):
        told = " ".join(pdf_text(client.get(address)).split()).lower()
        assert "earlier reading" in told and "urgent" in told
    ReviewFactory(image=old.image, reviewer=personas.clinician)
    assert "Earlier reading: Urgent" not in html_text(client.get(f"/patients/{lesion.patient_id}/"))


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
    assert not list(record_queries.disagreements("1999.1"))


def test_what_someone_waits_for_is_rung_first():
    bulk = prediction_services.rescreen(image=LesionImageFactory(), model_version=NEW)
    waited_for = PredictionFactory(queued=True)
    Prediction.objects.update(rung_at=None)
    assert recovery.sweep(rung_before=waited_for.created) == [waited_for, bulk]


def test_a_version_of_which_only_the_card_is_kept_cannot_read_again():
    oldest = reader.versions()[0]
    with pytest.raises(CommandError, match=f"Only the card is kept of model {oldest}"):
        call_command("rescreen", "--model", oldest)
