"""Transient errors are retried and count as no attempt; items that always fail are marked as
failed, reported and skipped.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from unittest import mock

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from django.db import IntegrityError, InterfaceError, OperationalError
from django.utils import timezone
from storages.backends.s3 import S3Storage

from ml import reader
from screening import sweeper, tasks
from screening.comparisons import services as comparison_services
from screening.comparisons import setbacks
from screening.errors import Busy
from screening.measurements import queries as measurement_queries
from screening.measurements import services as measurement_services
from screening.models import (
    Comparison,
    LesionImage,
    Measurement,
    Prediction,
    Setback,
    State,
)
from screening.operations import transience
from screening.predictions import queue, recovery
from tests.comparisons.test_comparisons import limits, photographed  # noqa: F401
from tests.factories import LesionFactory, PredictionFactory
from tests.stack.installation import free_port


def queued(**fields) -> Prediction:
    return PredictionFactory(queued=True, model_version=reader.DEFAULT_VERSION, **fields)


def s3_answers(status: int) -> ClientError:
    return ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("database is locked"),
        InterfaceError("connection already closed"),
        ConnectionRefusedError(),
        TimeoutError(),
        Busy(),
        OSError(errno.EIO, "a disk"),
        OSError(errno.ENOSPC, "no room"),
        EndpointConnectionError(endpoint_url="http://s3:8333"),
        s3_answers(503),
        s3_answers(403),
    ],
    ids=repr,
)
def test_what_passes(error):
    assert transience.is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "gone"),
        OSError("cannot identify image file"),
        IntegrityError("row_attempts_are_capped"),
        ValueError(),
        s3_answers(404),
        None,
    ],
    ids=repr,
)
def test_what_does_not(error):
    assert not transience.is_transient(error)


def test_pauses_grow_and_end_after_a_day():
    seconds = [transience.pause(n).total_seconds() for n in range(1, transience.MAX_SETBACKS + 1)]
    assert seconds[:5] == [5, 10, 20, 40, 80]
    assert max(seconds) == 600
    assert timedelta(hours=22) < timedelta(seconds=sum(seconds)) < timedelta(hours=26)


@contextmanager
def s3_is_away() -> Iterator[None]:
    """The real S3 storage, with no server behind it."""
    away = S3Storage(
        bucket_name="skincheck",
        access_key="a",
        secret_key="b",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{free_port()}",
        client_config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
    )
    with mock.patch.object(LesionImage._meta.get_field("file"), "storage", away):
        yield


def rest() -> None:
    """Pretend that all pauses are over."""
    now = timezone.now()
    Prediction.objects.update(rests_until=now)
    Setback.objects.update(rests_until=now)


@pytest.mark.django_db
def test_storage_that_is_away_for_a_minute_fails_no_reading(monkeypatch):
    monkeypatch.setattr(transience, "FIRST_PAUSE", timedelta(minutes=2))  # longer than this test
    waiting = [queued() for _ in range(3)]
    for times in range(1, 6):  # more often than an image has attempts
        for one in waiting:
            with s3_is_away():
                tasks.read_prediction_task(str(one.pk))
            one.refresh_from_db()
            assert (one.state, one.attempts, one.setbacks) == (State.QUEUED, 0, times)
            assert one.rests_until - timezone.now() > transience.pause(times) - timedelta(minutes=1)
            assert queue.claim(one.pk) is None  # it pauses
        assert recovery.sweep(rung_before=timezone.now()) == []
        rest()
    assert recovery.sweep(rung_before=timezone.now()) == waiting  # it rings when the pause is over
    for one in waiting:
        tasks.read_prediction_task(str(one.pk))
        one.refresh_from_db()
        assert (one.state, one.attempts) == (State.SUCCEEDED, 1)


@pytest.mark.django_db
def test_after_a_day_of_it_the_person_is_told():
    prediction = queued()
    Prediction.objects.update(setbacks=transience.MAX_SETBACKS)
    with s3_is_away():
        tasks.read_prediction_task(str(prediction.pk))
    prediction.refresh_from_db()
    assert (prediction.state, prediction.failure) == (State.FAILED, queue.AWAY)


@pytest.mark.django_db
def test_who_lost_the_lease_puts_nothing_off():
    slow = queue.claim(queued().pk)
    Prediction.objects.update(state=State.QUEUED, lease_expires_at=None)
    quick = queue.claim(slow.pk)
    with s3_is_away():
        assert not queue.read(slow)
    quick.refresh_from_db()
    assert (quick.state, quick.attempts, quick.setbacks) == (State.RUNNING, 2, 0)


@pytest.mark.django_db(transaction=True)
def test_a_result_outlives_a_database_that_is_away_for_a_moment(monkeypatch):
    finish, failed = queue.finish, []

    def locked_at_first(prediction, **fields):
        if len(failed) < 2:
            failed.append(1)
            raise OperationalError("database is locked")
        return finish(prediction, **fields)

    monkeypatch.setattr(queue, "finish", locked_at_first)
    monkeypatch.setattr(transience.time, "sleep", lambda seconds: None)
    prediction = queue.claim(queued().pk)
    queue.read(prediction)
    prediction.refresh_from_db()
    assert (prediction.state, prediction.attempts, len(failed)) == (State.SUCCEEDED, 1, 2)


def lose(images: list[LesionImage]) -> None:
    for image in images:
        image.file.storage.delete(image.file.name)


@pytest.mark.django_db
def test_fifty_lost_files_are_marked_and_stepped_over(monkeypatch, caplog):
    monkeypatch.setattr(measurement_services, "ONE_SWEEP", 5)
    lost = [photographed(LesionFactory(), date(2026, 1, 1)) for _ in range(6)]
    sound = photographed(LesionFactory(), date(2026, 1, 1))
    lose(lost)
    for _ in range(2):
        for image in measurement_services.unmeasured():
            tasks.follow_up_task(str(image.pk))
    assert measurement_queries.current(sound) is not None
    assert Measurement.objects.filter(failure__contains="could not be opened").count() == 6
    assert measurement_services.unmeasured() == []
    assert not Setback.objects.exists()
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


@pytest.mark.django_db
def test_a_comparison_with_a_lost_file_says_so(limits):  # noqa: F811
    lesion = LesionFactory()
    first = photographed(lesion, date(2026, 1, 1))
    second = photographed(lesion, date(2026, 6, 1))
    lose([first])
    tasks.follow_up_task(str(second.pk))
    comparison = Comparison.objects.get()
    assert not comparison.aligned
    assert "could not be opened" in comparison.reason
    assert not Setback.objects.exists()


@pytest.mark.django_db
def test_following_up_rests_longer_each_time_and_lets_others_pass(monkeypatch, limits):  # noqa: F811
    monkeypatch.setattr(tasks.follow_up_task, "apply_async", lambda args, **_: rung.append(*args))
    rung: list[str] = []
    lesion = LesionFactory()
    first = photographed(lesion, date(2026, 1, 1))
    photographed(lesion, date(2026, 6, 1))
    with monkeypatch.context() as away:
        away.setattr(measurement_services, "pixels_of", raising(s3_answers(503)))
        away.setattr(comparison_services, "pixels_of", raising(s3_answers(503)))
        for times in (1, 2, 3):
            tasks.follow_up_task(str(first.pk))
            setback = Setback.objects.get(image=first)
            assert setback.count == times
            assert setback.rests_until > timezone.now() + transience.pause(times) / 2
            assert first not in measurement_services.unmeasured()
            assert setbacks.due() == []
    assert not Measurement.objects.filter(image=first).exists()
    rest()
    assert setbacks.due() == [first]
    tasks.follow_up_task(str(first.pk))
    assert Measurement.objects.filter(image=first, failure="").exists()
    assert Comparison.objects.get().aligned
    assert setbacks.due() == []
    assert not Setback.objects.exists()


@pytest.mark.django_db
def test_a_picture_that_kills_its_worker_is_not_begun_at_each_sweep(monkeypatch):
    image = photographed(LesionFactory(), date(2026, 1, 1))
    monkeypatch.setattr(measurement_services, "measure_image", raising(SystemExit()))
    with pytest.raises(SystemExit):
        tasks.follow_up_task(str(image.pk))
    assert measurement_services.unmeasured() == []
    assert setbacks.due() == []
    rest()
    assert setbacks.due() == [image]


@pytest.mark.django_db
def test_a_broker_that_is_away_is_tried_once_a_sweep(monkeypatch):
    tried = []

    def away(*arguments, **options):
        tried.append(arguments)
        raise ConnectionError

    for _ in range(4):
        Prediction.objects.filter(pk=queued().pk).update(rung_at=None)
    monkeypatch.setattr(tasks.read_prediction_task, "apply_async", away)
    sweeper.sweep_predictions()
    assert len(tried) == 1
    assert Prediction.objects.claimable().count() == 4


def raising(error: BaseException):
    def raises(*_args, **_fields):
        raise error

    return raises
