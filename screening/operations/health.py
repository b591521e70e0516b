"""The state of the processes and queues, for monitoring and for operators. Read-only."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection
from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from accounts.models import Invitation
from ml import reader
from screening.models import (
    ACTIVE_BATCH,
    Batch,
    Delivery,
    DeliveryState,
    DicomDelivery,
    Erasure,
    Export,
    Prediction,
    Setback,
    State,
)
from screening.models.data_key import require_none_lost
from screening.operations import heartbeats

logger = logging.getLogger(__name__)

LATE_AFTER = timedelta(minutes=5)
"""A picture that a person waits for is normally read within seconds."""
ROOM = 50_000_000
"""Bytes. Less free space is not enough for a picture and the files beside it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The queue of one kind of worker. oldest: since when its first item has waited, if any."""

    name: str
    count: int
    oldest: datetime | None
    put_off: int = 0

    @property
    def seconds(self) -> int | None:
        return seconds_since(self.oldest) if self.oldest else None


def missing() -> list[str]:
    """The names of what pages need but cannot reach."""
    checks = {
        "database": _ask_database,
        "encryption key": _find_keys,
        "model": _find_model,
        "storage": _look_at_storage,
    }
    return [name for name, check in checks.items() if not _passes(name, check)]


def readings() -> Waiting:
    """Readings that a person is waiting for."""
    queued = Prediction.objects.filter(state=State.QUEUED, is_bulk=False)
    return _waiting("Readings", queued, put_off=queued.filter(setbacks__gt=0).count())


def in_progress() -> Waiting:
    """What workers have started and not finished. A worker that hangs may still report that it is
    alive.
    """
    running = Prediction.objects.filter(state=State.RUNNING)
    found = running.aggregate(count=Count("pk"), oldest=Min("started_at"))
    return Waiting("Readings in progress", found["count"], found["oldest"])


def all_that_waits() -> list[Waiting]:
    bulk = Prediction.objects.filter(state=State.QUEUED, is_bulk=True)
    active = Batch.objects.filter(state__in=ACTIVE_BATCH)
    exports = Export.objects.filter(state__in=(Export.State.QUEUED, Export.State.RUNNING))
    erasures = Erasure.objects.due().aggregate(count=Count("pk"), oldest=Min("erased_from"))
    deliveries = Delivery.objects.filter(state=DeliveryState.WAITING)
    pictures = DicomDelivery.objects.filter(state=DeliveryState.WAITING)
    mails = Invitation.objects.standing().filter(mailed_at=None)
    return [
        readings(),
        in_progress(),
        _waiting("Readings in batches", bulk, put_off=bulk.filter(setbacks__gt=0).count()),
        _waiting("Batches", active, put_off=active.filter(setbacks__gt=0).count()),
        _waiting("Measures and comparisons put off", Setback.objects.all()),
        _waiting("Exports", exports, put_off=exports.filter(setbacks__gt=0).count()),
        Waiting("Erasures that are due", erasures["count"], erasures["oldest"]),
        _waiting("Webhook deliveries", deliveries, put_off=deliveries.filter(tries__gt=0).count()),
        _waiting("Pictures to DICOM nodes", pictures, put_off=pictures.filter(tries__gt=0).count()),
        _waiting("Invitations not mailed", mails),
    ]


def is_late(waiting: Waiting) -> bool:
    return waiting.oldest is not None and timezone.now() - waiting.oldest > LATE_AFTER


def seconds_since(moment: datetime) -> int:
    return max(0, round((timezone.now() - moment).total_seconds()))


def _waiting(name: str, rows: QuerySet[Any], put_off: int = 0) -> Waiting:
    found = rows.aggregate(count=Count("pk"), oldest=Min("created"))
    return Waiting(name, found["count"], found["oldest"], put_off)


def _passes(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except Exception:  # the response is the same for every error; details are logged
        logger.exception("not ready: %s", name)
        return False
    return True


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _find_keys() -> None:
    """Raises KeyMissing."""
    with suppress(DatabaseError):  # which is reported as missing by itself
        require_none_lost()


def _find_model() -> None:
    reader.card(reader.DEFAULT_VERSION)


def _look_at_storage() -> None:
    """Check the storage without writing: the sweeper tests that. Raises OSError."""
    if not settings.S3_BUCKET:
        _require_room(Path(settings.MEDIA_ROOT))
    if _sweeper_is_alive():
        if not heartbeats.is_alive(heartbeats.STORAGE):
            raise OSError("the sweeper could not keep a file lately")
    else:
        storage: Any = default_storage
        storage.require_there()


def _sweeper_is_alive() -> bool:
    try:
        return heartbeats.is_alive(heartbeats.SWEEPER)
    except DatabaseError:  # which is reported as missing by itself
        return False


def _require_room(folder: Path) -> None:
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(folder.name)
    if shutil.disk_usage(folder).free < ROOM:
        raise OSError("hardly any room is left for pictures")
