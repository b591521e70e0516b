"""Health for monitoring and the page for staff: what is missing, what waits, which processes
report.
"""

from __future__ import annotations

import errno
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone

from ml import reader
from screening import sweeper, tasks
from screening.models import Heartbeat, Prediction
from screening.operations import clock, health, heartbeats
from screening.web.views import health as views
from tests.factories import ErasureFactory, ExportFactory, PredictionFactory, UserFactory

pytestmark = pytest.mark.django_db

READY = "/health/ready"


@pytest.fixture(autouse=True)
def _nobody_has_asked_yet(monkeypatch):
    monkeypatch.setattr(views, "_counts", views._Counts())


def queued(ago: timedelta, **fields) -> Prediction:
    prediction = PredictionFactory(queued=True, model_version=reader.DEFAULT_VERSION, **fields)
    Prediction.objects.filter(pk=prediction.pk).update(created=timezone.now() - ago)
    return prediction


def silent(name: str, seconds: float) -> None:
    heartbeats.beat(name)
    Heartbeat.objects.filter(name=name).update(beat_at=timezone.now() - timedelta(seconds=seconds))


def test_it_needs_no_login_and_keeps_nothing(client, settings):
    assert client.get("/health/live").content == b"ok"
    assert client.get(READY).json() == {
        "status": "ok",
        "missing": [],
        "oldest_queued_seconds": None,
        "oldest_running_seconds": None,
        "heartbeats": [],
    }
    assert not Path(settings.MEDIA_ROOT).exists()
    assert "sessionid" not in client.cookies


def test_it_names_what_is_missing(client, settings, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    settings.MEDIA_ROOT = tmp_path / "file" / "media"
    monkeypatch.setattr(reader, "ARTIFACTS", tmp_path)
    reader.card.cache_clear()
    response = client.get(READY)
    reader.card.cache_clear()
    assert response.status_code == 503
    assert response.json()["missing"] == ["model", "storage"]


def test_without_a_database_the_rest_is_not_asked(client, monkeypatch):
    def away(*_):
        raise OperationalError("no connection")

    monkeypatch.setattr(health, "_ask_database", away)
    monkeypatch.setattr(heartbeats, "is_alive", away)
    assert client.get(READY).json() == {"status": "missing", "missing": ["database"]}


def test_a_disk_that_is_nearly_full_is_missing(client, monkeypatch):
    monkeypatch.setattr(health, "ROOM", 10**18)
    assert client.get(READY).json()["missing"] == ["storage"]


def test_what_the_sweeper_could_not_keep_is_missing(client):
    heartbeats.beat(heartbeats.SWEEPER)
    assert client.get(READY).json()["missing"] == ["storage"]
    heartbeats.beat(heartbeats.STORAGE)
    assert client.get(READY).json()["missing"] == []
    silent(heartbeats.STORAGE, 300)
    assert client.get(READY).json()["missing"] == ["storage"]


def test_it_tells_how_long_the_oldest_waits_and_who_is_heard_of(client):
    queued(timedelta(minutes=2))
    queued(timedelta(hours=5), is_bulk=True)  # nobody waits for it
    silent("worker@a", 3)
    silent("worker@b", 400)
    silent("beat", 90_000)  # forgotten after a day
    told = client.get(READY).json()
    assert told["status"] == "ok"
    assert told["oldest_queued_seconds"] == pytest.approx(120, abs=5)
    # Machine names are not public.
    assert [one["part"] for one in told["heartbeats"]] == ["worker", "worker"]
    assert [one["seconds"] for one in told["heartbeats"]] == [
        pytest.approx(3, abs=3),
        pytest.approx(400, abs=5),
    ]
    queued(timedelta(minutes=6))
    response = client.get(READY)
    assert (response.status_code, response.json()["status"]) == (200, "late")


def at_task(name: str, *, minutes: float, limit: int, silent_for: float = 0) -> None:
    since = timezone.now() - timedelta(minutes=minutes)
    now = timezone.now() - timedelta(seconds=silent_for)
    heartbeats.beat(name, now, doing=[heartbeats.Doing("work_on_exports_task", since, limit)])


def test_a_worker_that_reports_but_hangs_is_told(client):
    """What takes long by nature may: half of the time after which it is ended."""
    client.force_login(UserFactory(is_staff=True))
    at_task("worker@busy", minutes=20, limit=3600)
    heartbeats.beat("worker@idle")
    told = client.get(READY).json()
    assert told["status"] == "ok"
    assert [one["busy_seconds"] for one in told["heartbeats"]] == [
        pytest.approx(1200, abs=5),
        None,
    ]
    page = client.get(reverse("status")).content.decode()
    assert "work_on_exports_task, for 20\xa0minutes" in page
    assert "<td>hangs</td>" not in page
    at_task("worker@busy", minutes=20, limit=3600, silent_for=600)  # killed: it hangs no more
    assert client.get(READY).json()["status"] == "ok"
    for minutes, limit in ((31, 3600), (6, 45)):
        at_task("worker@busy", minutes=minutes, limit=limit)
        assert client.get(READY).json()["status"] == "late"
        assert "<td>hangs</td>" in client.get(reverse("status")).content.decode()
    heartbeats.beat("worker@busy")
    assert client.get(READY).json()["status"] == "ok"


@pytest.mark.parametrize(("seconds", "kept"), [(60, "follow_up_task"), (1900, "erase_task")])
def test_of_several_tasks_the_one_nearest_to_a_hang_is_kept(seconds, kept):
    now = timezone.now()
    doing = [
        heartbeats.Doing("erase_task", now - timedelta(seconds=seconds), 3600),
        heartbeats.Doing("follow_up_task", now - timedelta(seconds=44), 45),
    ]
    heartbeats.beat("worker@a", now, doing=doing)
    assert Heartbeat.objects.get().task == kept


def test_exports_and_erasures_wait_too(client):
    ExportFactory()
    ErasureFactory(erased_from=timezone.now() - timedelta(days=1))
    client.force_login(UserFactory(is_staff=True))
    page = client.get(reverse("status")).content.decode()
    for name in ("Exports", "Erasures that are due"):
        assert f'{name}</th><td class="number">1</td>' in page


@pytest.mark.parametrize("path", ["/health/live", READY])
def test_who_asks_too_often_is_told_to_wait(path, client):
    for _ in range(views.A_MINUTE):
        views._counts.one_more("127.0.0.1")
    response = client.get(path)
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 60
    assert client.get(path, REMOTE_ADDR="10.0.0.9").status_code == 200


def test_the_status_page_is_for_staff_and_names_all(client, personas):
    client.force_login(personas.admin)
    assert client.get(reverse("status")).status_code == 404
    queued(timedelta(minutes=20))
    silent("worker@machine-a", 3)
    silent("courier@machine-a", 900)
    client.force_login(UserFactory(is_staff=True))
    page = client.get(reverse("status")).content.decode()
    assert "more than five minutes" in page
    assert "20\xa0minutes" in page
    assert "worker@machine-a" in page
    assert page.index("silent") > page.index("courier@machine-a")
    assert page.count("<td>silent</td>") == 1


def test_the_sweeper_says_that_it_lives_and_that_files_can_be_kept(monkeypatch):
    clock.tick()
    sweeper._try_the_storage()
    assert heartbeats.is_alive(heartbeats.SWEEPER)
    assert heartbeats.is_alive(heartbeats.STORAGE)
    assert not default_storage.exists(sweeper.PROBE)
    Heartbeat.objects.all().delete()
    full = mock.Mock(save=mock.Mock(side_effect=OSError(errno.ENOSPC, "full")))
    monkeypatch.setattr(sweeper, "default_storage", full)
    monkeypatch.setattr(sweeper, "close_old_connections", lambda: None)  # within a transaction
    sweeper.sweep_once()
    assert heartbeats.is_alive(heartbeats.SWEEPER)
    assert not heartbeats.is_alive(heartbeats.STORAGE)


def test_beat_is_heard_of_by_way_of_a_worker():
    tasks.beat_task()
    assert heartbeats.is_alive(heartbeats.BEAT)


@pytest.mark.parametrize(
    ("worker_beats", "waits", "begun_ago", "expected"),
    [
        (False, 40, None, True),  # no worker at all
        (False, 5, None, False),  # one may be starting
        (True, 40, None, False),  # it has a queue
        (True, 90, None, True),  # alive but idle
        (True, 90, 20, False),  # working
        (False, None, None, False),
    ],
)
def test_the_sweep_reads_where_no_worker_does(worker_beats, waits, begun_ago, expected):
    if worker_beats:
        heartbeats.beat("worker@a")
    if waits is not None:
        queued(timedelta(seconds=waits))
    if begun_ago is not None:
        began = timezone.now() - timedelta(seconds=begun_ago)
        PredictionFactory(started_at=began, model_version=reader.DEFAULT_VERSION)
    assert sweeper.nobody_works() == expected


def test_it_reads_until_nothing_waits(monkeypatch):
    for _ in range(3):
        queued(timedelta(minutes=2))
    sweeper.work_where_nobody_does()
    assert Prediction.objects.finished().count() == 3
    assert max(Prediction.objects.values_list("attempts", flat=True)) == 1


def test_a_reading_that_never_ends_is_told_though_its_worker_reports(client):
    begun = timezone.now() - timedelta(minutes=6)
    PredictionFactory(running=True, started_at=begun)
    heartbeats.beat("worker@here")
    told = client.get(READY).json()
    assert told["oldest_running_seconds"] == pytest.approx(360, abs=5)
    assert told["status"] == "late"
